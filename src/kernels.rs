//! The kernels: one file each, with the WGSL of the same name in `shaders/` and its CPU twin.
//!
//! [`ALL`] is the table that the proof iterates over: a kernel in it is reflected, translated, run on awkward shapes and
//! compared with its twin without another line. Its row here is all that a kernel needs beside its two files.
//!
//! # Words
//! - *kernel*: a compute shader with its CPU *twin*; *call*: a kernel with its parameters; *op*: a call with its operands and activation;
//!   *step*: what changes from one run of a plan's ops to the next.
//! - [*family*](Family): how kernels divide their *work*, by elements, rows, columns or tiles of a product.
//! - [*form*](Form): how a product is tiled; [*choice*](Choice): a form, and the parts in which k is summed;
//!   [*load*](Load): how one of its matrices is read.
//! - [*fragment*](Fragment): a piece of WGSL that completes a text: an activation, or a *formula* of an update or of a loss, which exists
//!   in Rust, too.
//! - [*variant*](Variant): one text of a kernel, apart from its activation: a form with its loads, or its formulas' fragments;
//!   [*constants*](Constants): the values of `override`s with which a text is compiled.

use crate::config::activation::Activation;
pub use crate::config::fragment::{Field, Fragment};
use crate::number::scalar::Scalar;

mod assemble;
pub(crate) mod cases;
mod check_fragment;
pub(crate) mod declare;
pub(crate) mod form;
mod gradient;
mod launch;
mod resident;
pub(crate) mod step;
pub(crate) mod threefry;
mod variant;

pub(crate) mod activation;
pub(crate) mod activation_grad;
pub(crate) mod batch_norm;
pub(crate) mod batch_norm_grad;
pub(crate) mod batch_norm_stats;
pub(crate) mod copy;
pub(crate) mod dense_backward_input;
pub(crate) mod dense_backward_params;
pub(crate) mod dense_forward;
pub(crate) mod dropout;
pub(crate) mod dropout_grad;
pub(crate) mod gather_inputs;
pub(crate) mod gather_rows;
pub(crate) mod grad_norm;
pub(crate) mod grad_squares;
pub(crate) mod hits;
pub(crate) mod layer_norm;
pub(crate) mod layer_norm_grad;
pub(crate) mod loss_sum;
pub(crate) mod multiply_add;
pub(crate) mod norm_params_grad;
pub(crate) mod row_loss;
pub(crate) mod small_network;
pub(crate) mod softmax;
pub(crate) mod softmax_grad;
pub(crate) mod sum_parts;
pub(crate) mod update;
pub(crate) mod weigh_rows;

use declare::{Declared, declare};
pub(crate) use declare::{Read, Twin};
pub use form::{Choice, FORMS, Form, find_form};
pub(crate) use gradient::part_length;
pub use launch::{Constants, Workgroup};
pub(crate) use launch::{MAX_TILED, Work, network_memory};
pub(crate) use resident::{Format, batch_rows};
pub(crate) use step::StepAt;
pub(crate) use variant::{DELTA_LOADS, WEIGHT_LOADS, X_LOADS, panel_load, row_load};
pub use variant::{Load, Loads, Variant};

/// How a kernel uses an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    Write,
}

/// A storage binding of a kernel. Bindings count from 1 in the order of the list; binding 0 holds the parameters. Its declaration in
/// WGSL is [generated](Kernel::wgsl).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// The variable's name in WGSL.
    pub name: &'static str,
    /// Read, or written.
    pub access: Access,
    /// Elements are u32 words (class indices, places, or numbers by their bits) instead of f32.
    pub words: bool,
}

/// Operands that a kernel has at most.
pub(crate) const MAX_OPERANDS: usize = 10;

/// How a kernel divides its work; kernels of a family share a WGSL fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A matrix product, in any of the [`FORMS`]: `shaders/blocks.wgsl`.
    Product,
    /// Rows, with several invocations a row: `shaders/rows.wgsl`.
    Rows,
    /// Columns, with several invocations a column: `shaders/columns.wgsl`.
    Columns,
    /// One invocation an element: `shaders/elements.wgsl`.
    Elements,
    /// A whole network in one workgroup.
    Network,
}

/// What loss_sum and small_network write into the ledger.
pub(crate) const LEDGER: &str = include_str!("../shaders/ledger.wgsl");

/// What update and small_network do with a weight.
pub(crate) const UPDATE_ELEMENT: &str = include_str!("../shaders/update_element.wgsl");

/// The functions that every kernel may call.
const MATH: &str = include_str!("../shaders/math.wgsl");

/// What stands in the table [`ALL`] for each kernel.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// File stem, entry point and label.
    pub name: &'static str,
    /// The WGSL file, without the fragments.
    pub source: &'static str,
    /// How it divides its work.
    pub family: Family,
    /// Storage bindings, from binding 1 on.
    pub operands: &'static [Operand],
    /// Fields of the uniform `Params` at binding 0, in order.
    pub params: &'static [(&'static str, Field)],
    /// Fields that follow: what the kernel takes of a step.
    pub step: &'static [(&'static str, Field)],
    /// Kinds of fragments that complete its text, one of each; their constants are the last fields.
    pub formulas: &'static [&'static [Fragment]],
    /// Whether it calls `activate` or `activate_grad`, and so comes in one variant an activation.
    pub activation: bool,
    /// The matrices of a product; none in other families.
    pub loads: &'static [Loads],
    /// Texts that it shares with other kernels, beside its family's.
    pub shared: &'static [&'static str],
}

impl Kernel {
    const fn of<K: Twin>() -> Self {
        Self {
            name: K::NAME,
            source: K::SOURCE,
            family: K::FAMILY,
            operands: K::OPERANDS,
            params: K::PARAMS,
            step: K::STEP,
            formulas: K::FORMULAS,
            activation: K::ACTIVATION,
            loads: K::LOADS,
            shared: K::SHARED,
        }
    }
}

/// Words of the ledger of training; shaders/loss_sum.wgsl says what each is.
pub(crate) mod word {
    pub const RECENT: usize = 0;
    pub const OLDER: usize = 1;
    pub const BATCHES: usize = 2;
    pub const FAULTS: usize = 3;
    pub const OVERFLOW: usize = 4;
    pub const WINDOW: usize = 5;
    pub const REFUSED: usize = 6;
    pub const SCALE: usize = 7;
    pub const COUNT: usize = 8;
}

/// What a call costs at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub flops: u64,
    pub words: u64,
}

impl Cost {
    /// One number for how long a call keeps a device busy, in operations: a word moved takes as long as several.
    pub fn total(self) -> u64 {
        self.flops + 8 * self.words
    }
}

/// Elements of a matrix.
pub(crate) fn area(rows: u32, cols: u32) -> u64 {
    u64::from(rows) * u64::from(cols)
}

/// Declares the table. `$` is handed in for the macro that this one makes.
macro_rules! kernels {
    (($dollar:tt) $($(#[$doc:meta])* $module:ident: $kernel:ident,)+) => {
        /// Every kernel.
        pub static ALL: &[Kernel] = &[$(Kernel::of::<$module::Params>()),+];

        /// A kernel with its parameters.
        #[derive(Debug, Clone, ::core::marker::Copy, PartialEq)]
        pub(crate) enum Call {
            $($(#[$doc])* $kernel($module::Params)),+
        }

        $(impl From<$module::Params> for Call {
            fn from(p: $module::Params) -> Self {
                Self::$kernel(p)
            }
        })+

        /// What `$body` makes of a call's parameters, whatever the kernel.
        macro_rules! each {
            ($dollar call:expr, $dollar p:ident => $dollar body:expr) => {
                match $dollar call {
                    $(Call::$kernel($dollar p) => $dollar body),+
                }
            };
        }

        impl Call {
            pub fn kernel(&self) -> &'static Kernel {
                match self {
                    $(Self::$kernel(_) => &const { Kernel::of::<$module::Params>() }),+
                }
            }

            /// The same call with its parameters as the GPU holds them, rounded to f32.
            pub fn as_device(&self) -> Self {
                match self {
                    $(Self::$kernel(p) => Self::$kernel(p.as_device())),+
                }
            }
        }

        impl Kernel {
            fn generate(&self, g: &mut cases::Generator) -> Vec<cases::Case> {
                match self.name {
                    $(<$module::Params as Declared>::NAME => $module::Params::cases(g),)+
                    _ => Vec::new(),
                }
            }
        }
    };
}

kernels! {
    ($)
    /// Matrix product with bias and activation: a layer's forward pass.
    dense_forward: DenseForward,
    /// Tiled matmul with the derivative: one step of the δ recursion.
    dense_backward_input: DenseBackwardInput,
    /// Tiled outer products summed over rows: a layer's gradients.
    dense_backward_params: DenseBackwardParams,
    /// The second pass of gradients that were summed in parts.
    sum_parts: SumParts,
    /// Rows through a permutation.
    gather_rows: GatherRows,
    /// Rows of a data set through a permutation, as numbers.
    gather_inputs: GatherInputs,
    /// Layer normalisation.
    layer_norm: LayerNorm,
    /// Its derivative by its input.
    layer_norm_grad: LayerNormGrad,
    /// The statistics of batch normalisation.
    batch_norm_stats: BatchNormStats,
    /// Batch normalisation.
    batch_norm: BatchNorm,
    /// Its derivative by its input.
    batch_norm_grad: BatchNormGrad,
    /// The gradients of a normalisation's parameters.
    norm_params_grad: NormParamsGrad,
    /// Dropout and the residual connection.
    dropout: Dropout,
    /// Their derivatives, and the activation's.
    dropout_grad: DropoutGrad,
    /// Elementwise activation.
    activation: ElementwiseActivation,
    /// Elementwise derivative.
    activation_grad: ActivationGrad,
    /// Row-wise softmax.
    softmax: Softmax,
    /// Softmax's Jacobian times a gradient.
    softmax_grad: SoftmaxGrad,
    /// Each row's loss and δ, by the loss's formula.
    row_loss: RowLoss,
    /// Rows whose largest output is the class.
    hits: Hits,
    /// Losses and δ times the weights of their rows.
    weigh_rows: WeighRows,
    /// The sum of a batch's losses.
    loss_sum: LossSum,
    /// The squares of a gradient, summed in parts.
    grad_squares: GradSquares,
    /// The norm of a gradient, and the factor that clips it.
    grad_norm: GradNorm,
    /// One step of the optimiser's formula.
    update: Update,
    /// Whole steps of a small network.
    small_network: SmallNetwork,
    /// Repeated multiplication and addition: an adapter's peak.
    multiply_add: MultiplyAdd,
    /// A copy: an adapter's bandwidth.
    copy: Copy,
}

impl Kernel {
    /// The kernel's awkward cases.
    pub(crate) fn cases(&self, seed: u64) -> Vec<cases::Case> {
        self.generate(&mut cases::Generator::new(seed))
    }

    /// One case of a typical size; with each of the formulas, where it has one. Operands hold an element in place of contents.
    pub(crate) fn samples(&self) -> Vec<cases::Case> {
        let mut samples = self.generate(&mut cases::Generator::typical());
        let mut seen = Vec::new();
        samples.retain(|case| {
            let fresh = !seen.contains(&case.call.name());
            seen.push(case.call.name());
            fresh
        });
        if self.formulas.len() != 1 {
            samples.truncate(1);
        }
        samples
    }
}

impl Call {
    /// The words of its uniform `Params`.
    pub fn words(&self, at: &StepAt, out: &mut Vec<u32>) {
        each!(self, p => p.words(at, out));
    }

    /// Its kernel with its formulas.
    pub fn name(&self) -> String {
        let formulas = each!(self, p => p.formulas()).into_iter().flatten();
        let names = std::iter::once(self.kernel().name).chain(formulas.map(|f| f.name));
        names.collect::<Vec<_>>().join(" ")
    }

    pub fn work(&self) -> Work {
        each!(self, p => p.work())
    }

    /// The variant of its kernel's text that this call takes in the chosen form; `vec4` allows vec4 loads.
    pub fn variant(&self, choice: Option<Choice>, vec4: bool) -> Variant {
        let loads = each!(self, p => p.loads());
        let allowed = |load| match load {
            Load::Vec4 if !vec4 => Load::Scalar,
            load => load,
        };
        Variant {
            product: choice.map(|choice| (choice.form, loads.map(allowed))),
            formulas: each!(self, p => p.formulas()),
        }
    }

    /// Elements that each operand has at least, in the order of [`Kernel::operands`].
    pub fn sizes(&self) -> impl Iterator<Item = u64> {
        let sizes = each!(self, p => p.sizes());
        sizes.into_iter().take(self.kernel().operands.len())
    }

    pub fn cost(&self) -> Cost {
        each!(self, p => p.cost())
    }

    /// Runs the twin on operands in the order of [`Kernel::operands`].
    pub fn run_twin<'a, F: Scalar>(
        &self,
        at: &StepAt,
        phi: &Activation,
        reads: &[Read<'a, F>],
        writes: &mut [&'a mut [F]],
    ) {
        /// Infers the kernel from its parameters.
        fn run<'a, F: Scalar, K: Twin>(
            p: &K,
            at: &StepAt,
            phi: &Activation,
            reads: &[Read<'a, F>],
            writes: &mut [&'a mut [F]],
        ) {
            p.run((*at).into(), phi, K::operands(reads, writes));
        }
        each!(self, p => run(p, at, phi, reads, writes));
    }

    /// The same product with no side beyond `most`, alone in its buffers: one panel, a batch that begins its order.
    pub fn resized(&self, most: u32) -> Self {
        macro_rules! resized {
            ($($kernel:ident),+) => {
                match *self {
                    $(Call::$kernel(mut p) => {
                        for side in [&mut p.rows, &mut p.inputs, &mut p.outputs] {
                            *side = most.min(*side);
                        }
                        (p.first, p.stride) = (0, p.outputs);
                        p.into()
                    })+
                    other => other,
                }
            };
        }
        resized!(DenseForward, DenseBackwardInput, DenseBackwardParams)
    }
}

/// Elements of a row of an operand x: of a batch, or on the device.
fn row_elements(format: u32, inputs: u32) -> u32 {
    match format {
        0 => inputs,
        _ => inputs.next_multiple_of(4),
    }
}

/// The kernel of this name.
pub fn find(name: &str) -> Option<&'static Kernel> {
    ALL.iter().find(|k| k.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_and_formula_has_a_sample() {
        for kernel in ALL {
            let formulas: usize = kernel.formulas.iter().map(|all| all.len()).sum();
            let wanted = if kernel.formulas.len() == 1 {
                formulas
            } else {
                1
            };
            assert_eq!(kernel.samples().len(), wanted, "{}", kernel.name);
        }
    }
}
