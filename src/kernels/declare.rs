//! What a kernel's file declares, once. The structs of the host follow from it here, and the declarations in WGSL in `assemble.rs`.

use super::cases::{Case, Generator};
use super::step::StepAt;
use super::{Cost, Family, Load, Loads, MAX_OPERANDS, Operand, Work};
use crate::config::activation::Activation;
use crate::config::fragment::{Field, Fragment};
use crate::number::scalar::Scalar;

/// An operand that a twin reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Read<'a, F> {
    Floats(&'a [F]),
    Words(&'a [u32]),
}

impl<'a, F> Read<'a, F> {
    pub fn floats(self) -> &'a [F] {
        match self {
            Read::Floats(x) => x,
            Read::Words(_) => unreachable!("an operand holds words where the kernel reads floats"),
        }
    }

    /// Empty where there is a placeholder, which holds floats.
    pub fn words(self) -> &'a [u32] {
        match self {
            Read::Floats(_) => &[],
            Read::Words(x) => x,
        }
    }

    pub fn any(self) -> Self {
        self
    }
}

/// What [`declare!`] makes of a kernel's declaration.
pub(crate) trait Declared: Copy {
    /// What the kernel takes of a step.
    type At: From<StepAt>;
    /// The operands of its twin, by name.
    type Operands<'a, F: Scalar>;

    const NAME: &'static str;
    const SOURCE: &'static str;
    const FAMILY: Family;
    const PARAMS: &'static [(&'static str, Field)];
    const STEP: &'static [(&'static str, Field)];
    const OPERANDS: &'static [Operand];
    const FORMULAS: &'static [&'static [Fragment]];

    fn work(&self) -> Work;
    /// Elements that each operand has at least, and 0 beyond the last.
    fn sizes(&self) -> [u64; MAX_OPERANDS];
    /// The parameters as the device takes them.
    fn words(&self, at: &StepAt, out: &mut Vec<u32>);
    /// The same parameters as the GPU holds them, rounded to f32.
    fn as_device(&self) -> Self;
    /// The fragments of its formulas.
    fn formulas(&self) -> [Option<&'static Fragment>; 2];
    /// Of operands in the order of [`OPERANDS`](Self::OPERANDS).
    fn operands<'a, F: Scalar>(
        reads: &[Read<'a, F>],
        writes: &mut [&'a mut [F]],
    ) -> Self::Operands<'a, F>;
}

/// What a kernel's file says beside its declaration. A kernel without a twin does not compile.
pub(crate) trait Twin: Declared {
    /// Whether it calls `activate` or `activate_grad`.
    const ACTIVATION: bool = false;
    /// The matrices of a product.
    const LOADS: &'static [Loads] = &[];
    /// Texts that it shares with other kernels, beside its family's.
    const SHARED: &'static [&'static str] = &[];

    /// How a product's matrices can be loaded, given their sizes; see [`Kernel::loads`](super::Kernel::loads).
    fn loads(&self) -> [Load; 2] {
        [Load::Scalar; 2]
    }

    /// The kernel's arithmetic on the CPU.
    fn run<F: Scalar>(&self, at: Self::At, phi: &Activation, operands: Self::Operands<'_, F>);

    /// Arithmetic operations, for the benches.
    fn flops(&self) -> u64;

    /// Words of operands that are both read and written.
    fn words_found(&self) -> u64 {
        0
    }

    /// What a call costs: words move once between memory and the processor, or twice where they are found and written.
    fn cost(&self) -> Cost {
        let words = self.sizes().iter().sum::<u64>() + self.words_found();
        let flops = self.flops();
        Cost { flops, words }
    }

    /// Awkward inputs for the proof; see [`cases`](super::cases).
    fn cases(g: &mut Generator) -> Vec<Case>;
}

/// Declares a kernel: its name, which is that of its file in `shaders/`, its family and its work, its parameters, formulas that complete its
/// text, what it takes of a step, and its operands with their shapes, where a placeholder is one element, or none.
/// Operands that are read hold `f32`, `u32`, or `any` of both by their bits.
macro_rules! declare {
    (
        $name:literal in $family:ident, work: |$p:ident| $work:expr;
        params { $($(#[$doc:meta])* $param:ident: $type:ty),* $(,)? }
        $(formulas { $($formula:ident: $of:ty),+ $(,)? })?
        $(step { $($field:ident: $field_type:ty),+ $(,)? })?
        reads { $($read:ident: $read_type:ident[$($read_side:expr),+]),* $(,)? }
        writes { $($write:ident: $write_type:ident[$($write_side:expr),+]),+ $(,)? }
    ) => {
        /// The kernel's parameters.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub(crate) struct Params {
            $($(#[$doc])* pub $param: $type,)*
            $($(pub $formula: $of,)+)?
        }

        /// What the kernel takes of a step.
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct At {
            $($(pub $field: $field_type),+)?
        }

        impl From<crate::kernels::StepAt> for At {
            #[allow(unused_variables)]
            fn from(at: crate::kernels::StepAt) -> Self {
                Self { $($($field: at.$field),+)? }
            }
        }

        /// The operands of the twin.
        pub(crate) struct Operands<'a, F> {
            $(pub $read: crate::kernels::declare::declare!(@host $read_type 'a F),)*
            $(pub $write: &'a mut [F],)+
        }

        impl crate::kernels::declare::Declared for Params {
            type At = At;
            type Operands<'a, F: crate::number::scalar::Scalar> = Operands<'a, F>;

            const NAME: &'static str = $name;
            const SOURCE: &'static str = include_str!(concat!("../../shaders/", $name, ".wgsl"));
            const FAMILY: crate::kernels::Family = crate::kernels::Family::$family;
            const PARAMS: &'static [(&'static str, crate::config::fragment::Field)] =
                &[$((stringify!($param), <$type as crate::config::fragment::Word>::FIELD)),*];
            const STEP: &'static [(&'static str, crate::config::fragment::Field)] =
                &[$($((stringify!($field), <$field_type as crate::config::fragment::Word>::FIELD)),+)?];
            const OPERANDS: &'static [crate::kernels::Operand] = &[
                $(crate::kernels::Operand {
                    name: stringify!($read),
                    access: crate::kernels::Access::Read,
                    words: crate::kernels::declare::declare!(@words $read_type),
                },)*
                $(crate::kernels::Operand {
                    name: stringify!($write),
                    access: crate::kernels::Access::Write,
                    words: crate::kernels::declare::declare!(@words $write_type),
                },)+
            ];
            const FORMULAS: &'static [&'static [crate::config::fragment::Fragment]] =
                &[$($(<$of as crate::config::fragment::Formula>::FRAGMENTS),+)?];

            #[allow(unused_variables)]
            fn work(&self) -> crate::kernels::Work {
                let $p = self;
                $work
            }

            fn sizes(&self) -> [u64; crate::kernels::MAX_OPERANDS] {
                let $p = self;
                let mut sizes = [0; crate::kernels::MAX_OPERANDS];
                let all: &[&[u32]] = &[$(&[$($read_side),+],)* $(&[$($write_side),+]),+];
                for (size, sides) in sizes.iter_mut().zip(all) {
                    *size = sides.iter().copied().map(u64::from).product();
                }
                sizes
            }

            #[allow(unused_variables)]
            fn words(&self, at: &crate::kernels::StepAt, out: &mut Vec<u32>) {
                $(out.push(crate::config::fragment::Word::word(self.$param));)*
                $($(out.push(crate::config::fragment::Word::word(at.$field));)+)?
                $($(crate::config::fragment::Formula::words(&self.$formula, out);)+)?
            }

            fn as_device(&self) -> Self {
                Self {
                    $($param: crate::config::fragment::Word::as_device(self.$param),)*
                    $($($formula: crate::config::fragment::Formula::as_device(&self.$formula),)+)?
                }
            }

            fn formulas(&self) -> [Option<&'static crate::config::fragment::Fragment>; 2] {
                #[allow(unused_mut)]
                let mut fragments = [None; 2];
                let all: &[&'static crate::config::fragment::Fragment] =
                    &[$($(crate::config::fragment::Formula::fragment(&self.$formula)),+)?];
                for (place, fragment) in fragments.iter_mut().zip(all) {
                    *place = Some(*fragment);
                }
                fragments
            }

            fn operands<'a, F: crate::number::scalar::Scalar>(
                reads: &[crate::kernels::declare::Read<'a, F>],
                writes: &mut [&'a mut [F]],
            ) -> Operands<'a, F> {
                #[allow(unused_mut, unused_variables)]
                let (mut reads, mut writes) = (reads.iter().copied(), writes.iter_mut());
                Operands {
                    $($read: match reads.next() {
                        Some(read) => crate::kernels::declare::declare!(@take $read_type read),
                        None => unreachable!("{} lacks {}", $name, stringify!($read)),
                    },)*
                    $($write: match writes.next() {
                        Some(write) => std::mem::take(write),
                        None => unreachable!("{} lacks {}", $name, stringify!($write)),
                    },)+
                }
            }
        }
    };
    (@host f32 $a:lifetime $f:ident) => { &$a [$f] };
    (@host u32 $a:lifetime $f:ident) => { &$a [u32] };
    (@host any $a:lifetime $f:ident) => { crate::kernels::declare::Read<$a, $f> };
    (@take f32 $read:ident) => { $read.floats() };
    (@take u32 $read:ident) => { $read.words() };
    (@take any $read:ident) => { $read.any() };
    (@words f32) => { false };
    (@words $other:ident) => { true };
}
pub(crate) use declare;
