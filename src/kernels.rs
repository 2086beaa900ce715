//! The kernels: one file each, with the WGSL of the same name in `shaders/` and its CPU twin.
//!
//! [`ALL`] is the table that the proof iterates over: a kernel in it is reflected, translated, run on awkward shapes and
//! compared with its twin without another line.

use std::fmt;

use crate::config::activation::Activation;
use crate::number::scalar::Scalar;

mod calls;
pub(crate) mod cases;
pub(crate) mod form;
mod fragment;
mod gradient;
mod launch;
mod resident;
pub(crate) mod threefry;
mod variant;

pub use form::{Choice, FORMS, Form, find_form};
pub(crate) use gradient::part_length;
pub use launch::Constants;
pub(crate) use launch::{MAX_TILED, Work, network_memory};
pub(crate) use resident::{Format, batch_rows};
pub(crate) use variant::{
    DELTA_LOADS, UPDATES, WEIGHT_LOADS, X_LOADS, batch_load, panel_load, row_load,
};
pub use variant::{Load, Loads, RowLoss, Update, Variant};

/// How a kernel uses an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    Write,
}

/// A storage binding of a kernel. Bindings count from 1 in the order of the list; binding 0 holds the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// The variable's name in WGSL.
    pub name: &'static str,
    /// Read, or written.
    pub access: Access,
    /// Elements are u32 words (class indices, places, or numbers by their bits) instead of f32.
    pub words: bool,
}

pub(crate) const fn read(name: &'static str) -> Operand {
    Operand {
        name,
        access: Access::Read,
        words: false,
    }
}

pub(crate) const fn read_words(name: &'static str) -> Operand {
    Operand {
        name,
        access: Access::Read,
        words: true,
    }
}

pub(crate) const fn write(name: &'static str) -> Operand {
    Operand {
        name,
        access: Access::Write,
        words: false,
    }
}

pub(crate) const fn write_words(name: &'static str) -> Operand {
    Operand {
        name,
        access: Access::Write,
        words: true,
    }
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

impl Family {
    fn wgsl(self) -> &'static str {
        match self {
            Family::Product => include_str!("../shaders/blocks.wgsl"),
            Family::Rows => include_str!("../shaders/rows.wgsl"),
            Family::Columns => include_str!("../shaders/columns.wgsl"),
            Family::Elements => include_str!("../shaders/elements.wgsl"),
            Family::Network => "",
        }
    }
}

/// What loss_sum and small_network write into the ledger.
pub(crate) const LEDGER: &str = include_str!("../shaders/ledger.wgsl");

/// What an update makes of the gradient.
pub(crate) const UPDATE_GRADIENT: &str = include_str!("../shaders/update_gradient.wgsl");

/// The functions that every kernel may call.
const MATH: &str = include_str!("../shaders/math.wgsl");

/// A scalar type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `u32` on both sides.
    U32,
    /// `f64` on the host, `f32` in WGSL.
    F32,
}

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
    /// Whether it calls `activate` or `activate_grad`, and so comes in one variant an activation.
    pub activation: bool,
    /// The matrices of a product; none in other families.
    pub loads: &'static [Loads],
    /// Fragments that it shares with other kernels, beside its family's.
    pub fragments: &'static [&'static str],
}

impl Kernel {
    /// The whole text that is compiled: the kernel's file, its family's fragment, the form with its loads, the mathematics, the
    /// activation.
    pub fn wgsl(&self, variant: &Variant, activation: &Activation) -> String {
        let mut text = self.wgsl_around(variant);
        if self.activation {
            text += "\n";
            text += &activation.wgsl();
        }
        text
    }

    /// [`wgsl`](Self::wgsl) without the activation.
    pub(crate) fn wgsl_around(&self, variant: &Variant) -> String {
        let mut text = format!("{}\n{}\n", self.source, self.family.wgsl());
        if let Some((form, loads)) = variant.product {
            text += form.source;
            for (matrix, load) in self.loads.iter().zip(loads) {
                let mut fragments = matrix.fragments.iter();
                if let Some((_, fragment)) = fragments.find(|(l, _)| *l == load) {
                    text += "\n";
                    text += fragment;
                }
            }
            text += "\n";
        }
        let of_network = variant
            .network
            .map(|(update, loss)| [update.wgsl(), loss.wgsl()]);
        let shared = self.fragments.iter().copied();
        for fragment in shared.chain(of_network.into_iter().flatten()) {
            text += fragment;
            text += "\n";
        }
        text += MATH;
        text
    }

    /// Every variant of the text.
    pub fn variants(&self) -> Vec<Variant> {
        if self.family == Family::Network {
            let updates = [Update::Sgd, Update::Momentum, Update::RmsProp, Update::Adam];
            let losses = [RowLoss::CrossEntropy, RowLoss::SquaredError];
            let pairs = updates.iter().flat_map(|u| losses.map(|loss| (*u, loss)));
            return pairs
                .map(|pair| Variant {
                    network: Some(pair),
                    ..Variant::default()
                })
                .collect();
        }
        let [a, b] = self.loads else {
            return vec![Variant::default()];
        };
        let mut variants = Vec::new();
        for form in FORMS {
            for (load_a, _) in a.fragments {
                for (load_b, _) in b.fragments {
                    variants.push(Variant {
                        product: Some((form, [*load_a, *load_b])),
                        network: None,
                    });
                }
            }
        }
        variants
    }
}

/// A parameter's type: u32, or a number that is f64 on the host and f32 on the GPU.
pub(crate) trait Word: Copy {
    const FIELD: Field;
    fn word(self) -> u32;
    fn as_device(self) -> Self;
}

impl Word for u32 {
    const FIELD: Field = Field::U32;
    fn word(self) -> u32 {
        self
    }
    fn as_device(self) -> Self {
        self
    }
}

impl Word for f64 {
    const FIELD: Field = Field::F32;
    fn word(self) -> u32 {
        (self as f32).to_bits()
    }
    fn as_device(self) -> Self {
        f64::from(self as f32)
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

/// A kernel's parameters: the host struct that its WGSL `Params` mirrors field by field.
pub(crate) trait ParamsStruct: Copy + fmt::Debug {
    const FIELDS: &'static [(&'static str, Field)];
    fn words(&self, out: &mut Vec<u32>);
    /// The same parameters as the GPU holds them, rounded to f32.
    fn as_device(&self) -> Self;
}

/// Declares a kernel's `Params`.
macro_rules! params {
    ($($(#[$doc:meta])* $field:ident: $type:ty),+ $(,)?) => {
        /// The kernel's uniform parameters.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub(crate) struct Params {
            $($(#[$doc])* pub $field: $type),+
        }

        impl crate::kernels::ParamsStruct for Params {
            const FIELDS: &'static [(&'static str, crate::kernels::Field)] =
                &[$((stringify!($field), <$type as crate::kernels::Word>::FIELD)),+];

            fn words(&self, out: &mut Vec<u32>) {
                $(out.push(crate::kernels::Word::word(self.$field));)+
            }

            fn as_device(&self) -> Self {
                Self { $($field: crate::kernels::Word::as_device(self.$field)),+ }
            }
        }
    };
}

/// An operand that a twin reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Read<'a, F> {
    Floats(&'a [F]),
    Words(&'a [u32]),
}

/// The operands of a twin that reads floats only, in the order of its list.
pub(crate) fn floats<'a, F, const N: usize>(reads: &[Read<'a, F>]) -> [&'a [F]; N] {
    std::array::from_fn(|i| match reads[i] {
        Read::Floats(x) => x,
        Read::Words(_) => unreachable!("operand {i} holds words where the kernel reads floats"),
    })
}

/// An operand that a twin reads as floats.
pub(crate) fn numbers<'a, F>(read: &Read<'a, F>) -> &'a [F] {
    match read {
        Read::Floats(x) => x,
        Read::Words(_) => unreachable!("an operand holds words where the kernel reads floats"),
    }
}

/// The written operands, in the order of the list.
pub(crate) fn written<'a, 'b, F, const N: usize>(
    writes: &'b mut [&'a mut [F]],
) -> &'b mut [&'a mut [F]; N] {
    let n = writes.len();
    writes
        .try_into()
        .unwrap_or_else(|_| unreachable!("{n} written operands where the kernel has {N}"))
}

/// What a kernel's file declares. A kernel without a twin does not compile.
pub(crate) trait Twin {
    type Params: ParamsStruct;
    const KERNEL: Kernel;

    fn work(p: &Self::Params) -> Work;

    /// How a product's matrices can be loaded, given their sizes; see [`Kernel::loads`].
    fn loads(_: &Self::Params) -> [Load; 2] {
        [Load::Scalar; 2]
    }

    /// The update and the loss of a small network.
    fn network(_: &Self::Params) -> Option<(Update, RowLoss)> {
        None
    }

    /// Elements of each operand that a product of this size needs, in the order of [`Kernel::operands`].
    fn operand_sizes(_: &Self::Params) -> Vec<u64> {
        Vec::new()
    }

    /// The kernel's arithmetic on the CPU. Operands come in the order of [`Kernel::operands`].
    fn run<F: Scalar>(
        p: &Self::Params,
        phi: &Activation,
        reads: &[Read<'_, F>],
        writes: &mut [&mut [F]],
    );

    /// Arithmetic operations and words moved between memory and the processor at least, for the benches.
    fn cost(p: &Self::Params) -> Cost;

    /// Awkward inputs for the proof; see [`cases`].
    fn cases(g: &mut cases::Generator) -> Vec<cases::Case>;
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

macro_rules! kernels {
    ($($(#[$doc:meta])* $module:ident => $kernel:ident),+ $(,)?) => {
        $($(#[$doc])* pub(crate) mod $module;)+

        /// Every kernel.
        pub static ALL: &[Kernel] = &[$(<$module::$kernel as Twin>::KERNEL),+];

        /// A kernel with its parameters.
        #[derive(Debug, Clone, ::core::marker::Copy, PartialEq)]
        pub(crate) enum Call {
            $($kernel($module::Params)),+
        }

        impl Call {
            pub fn kernel(&self) -> &'static Kernel {
                match self {
                    $(Self::$kernel(_) => &<$module::$kernel as Twin>::KERNEL),+
                }
            }

            pub fn words(&self, out: &mut Vec<u32>) {
                match self {
                    $(Self::$kernel(p) => p.words(out)),+
                }
            }

            pub fn as_device(&self) -> Self {
                match self {
                    $(Self::$kernel(p) => Self::$kernel(p.as_device())),+
                }
            }

            pub fn work(&self) -> Work {
                match self {
                    $(Self::$kernel(p) => $module::$kernel::work(p)),+
                }
            }

            /// The variant of its kernel's text that this call takes in the chosen form; `vec4` allows vec4 loads.
            pub fn variant(&self, choice: Option<Choice>, vec4: bool) -> Variant {
                let loads = match self {
                    $(Self::$kernel(p) => $module::$kernel::loads(p)),+
                };
                let allowed = |load| if load == Load::Vec4 && !vec4 { Load::Scalar } else { load };
                let network = match self {
                    $(Self::$kernel(p) => $module::$kernel::network(p)),+
                };
                Variant {
                    product: choice.map(|choice| (choice.form, loads.map(allowed))),
                    network,
                }
            }

            /// Elements of each operand, for products.
            pub fn operand_sizes(&self) -> Vec<u64> {
                match self {
                    $(Self::$kernel(p) => $module::$kernel::operand_sizes(p)),+
                }
            }

            pub fn cost(&self) -> Cost {
                match self {
                    $(Self::$kernel(p) => $module::$kernel::cost(p)),+
                }
            }

            pub fn run_twin<F: Scalar>(
                &self,
                phi: &Activation,
                reads: &[Read<'_, F>],
                writes: &mut [&mut [F]],
            ) {
                match self {
                    $(Self::$kernel(p) => $module::$kernel::run(p, phi, reads, writes)),+
                }
            }
        }

        impl Kernel {
            /// The kernel's awkward cases.
            pub(crate) fn cases(&self, seed: u64) -> Vec<cases::Case> {
                let mut generator = cases::Generator::new(seed);
                $(if self.name == <$module::$kernel as Twin>::KERNEL.name {
                    return $module::$kernel::cases(&mut generator);
                })+
                Vec::new()
            }
        }
    };
}

kernels! {
    /// Matrix product with bias and activation: a layer's forward pass.
    dense_forward => DenseForward,
    /// Tiled matmul with the derivative: one step of the δ recursion.
    dense_backward_input => DenseBackwardInput,
    /// Tiled outer products summed over rows: a layer's gradients.
    dense_backward_params => DenseBackwardParams,
    /// The second pass of gradients that were summed in parts.
    sum_parts => SumParts,
    /// Rows through a permutation.
    gather_rows => GatherRows,
    /// Rows of a data set through a permutation, as numbers.
    gather_inputs => GatherInputs,
    /// Layer normalisation.
    layer_norm => LayerNorm,
    /// Its derivative by its input.
    layer_norm_grad => LayerNormGrad,
    /// The statistics of batch normalisation.
    batch_norm_stats => BatchNormStats,
    /// Batch normalisation.
    batch_norm => BatchNorm,
    /// Its derivative by its input.
    batch_norm_grad => BatchNormGrad,
    /// The gradients of a normalisation's parameters.
    norm_params_grad => NormParamsGrad,
    /// Dropout and the residual connection.
    dropout => Dropout,
    /// Their derivatives, and the activation's.
    dropout_grad => DropoutGrad,
    /// Elementwise activation.
    activation => ElementwiseActivation,
    /// Elementwise derivative.
    activation_grad => ActivationGrad,
    /// Row-wise softmax.
    softmax => Softmax,
    /// Softmax's Jacobian times a gradient.
    softmax_grad => SoftmaxGrad,
    /// Squared error and its δ.
    squared_error => SquaredError,
    /// Huber loss and its δ.
    huber => Huber,
    /// Binary cross-entropy from logits and its δ.
    binary_cross_entropy => BinaryCrossEntropy,
    /// Cross-entropy of any output activation and its δ.
    cross_entropy => CrossEntropy,
    /// Softmax and cross-entropy from logits, fused, and its δ.
    softmax_cross_entropy => SoftmaxCrossEntropy,
    /// Rows whose largest output is the class.
    hits => Hits,
    /// Losses and δ times the weights of their rows.
    weigh_rows => WeighRows,
    /// The sum of a batch's losses.
    loss_sum => LossSum,
    /// The squares of a gradient, summed in parts.
    grad_squares => GradSquares,
    /// The norm of a gradient, and the factor that clips it.
    grad_norm => GradNorm,
    /// Stochastic gradient descent.
    sgd => Sgd,
    /// Gradient descent with momentum, Nesterov's too.
    momentum => Momentum,
    /// RMSprop.
    rmsprop => RmsProp,
    /// Adam and AdamW.
    adam => Adam,
    /// Whole steps of a small network.
    small_network => SmallNetwork,
    /// Repeated multiplication and addition: an adapter's peak.
    multiply_add => MultiplyAdd,
    /// A copy: an adapter's bandwidth.
    copy => Copy,
}

/// What changes from one step to the next while all else stays.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct StepAt {
    /// Updates asked for so far, this one included.
    pub step: u32,
    /// Place in the order of the batch's first row, for data on the device.
    pub start: u32,
    /// Place of the batch's loss in the history.
    pub slot: u32,
    /// The factor on the gradients' sums, where it differs from step to step.
    pub grad_scale: Option<f64>,
    /// Place of the gradient's norm among the norms.
    pub norm_slot: u32,
    /// Batches before this one, for dropout; from 2³² on again from 0.
    pub batch: u32,
}

impl Call {
    /// This call as part of that step.
    pub fn at(mut self, at: &StepAt) -> Self {
        match &mut self {
            Call::DenseForward(p) if p.format != 0 => p.start = at.start,
            Call::DenseBackwardParams(p) if p.format != 0 => p.start = at.start,
            Call::GatherRows(p) => p.start = at.start,
            Call::GatherInputs(p) => p.start = at.start,
            Call::Dropout(p) => p.batch = at.batch,
            Call::DropoutGrad(p) => p.batch = at.batch,
            Call::LossSum(p) => p.slot = at.slot,
            Call::GradNorm(p) => p.slot = at.norm_slot,
            Call::Momentum(p) => p.step = at.step,
            Call::Adam(p) => p.step = at.step,
            Call::SmallNetwork(p) => {
                let p = &mut p.uniform;
                (p.step, p.start, p.slot) = (at.step, at.start, at.slot);
            }
            _ => {}
        }
        if let Some(scale) = at.grad_scale {
            match &mut self {
                Call::GradSquares(p) => p.scale = scale,
                Call::GradNorm(p) => p.scale = scale,
                Call::Sgd(p) => p.grad_scale = scale,
                Call::Momentum(p) => p.grad_scale = scale,
                Call::RmsProp(p) => p.grad_scale = scale,
                Call::Adam(p) => p.grad_scale = scale,
                _ => {}
            }
        }
        self
    }

    /// The same product with no side beyond `most`, alone in its buffers: one panel, a batch that begins its order.
    pub fn resized(&self, most: u32) -> Self {
        let least = |x: u32| x.min(most);
        match *self {
            Call::DenseForward(p) => Call::DenseForward(dense_forward::Params {
                rows: least(p.rows),
                inputs: least(p.inputs),
                outputs: least(p.outputs),
                first: 0,
                stride: least(p.outputs),
                start: 0,
                ..p
            }),
            Call::DenseBackwardInput(p) => Call::DenseBackwardInput(dense_backward_input::Params {
                rows: least(p.rows),
                inputs: least(p.inputs),
                outputs: least(p.outputs),
                first: 0,
                stride: least(p.outputs),
                ..p
            }),
            Call::DenseBackwardParams(p) => {
                Call::DenseBackwardParams(dense_backward_params::Params {
                    rows: least(p.rows),
                    inputs: least(p.inputs),
                    outputs: least(p.outputs),
                    first: 0,
                    stride: least(p.outputs),
                    start: 0,
                    ..p
                })
            }
            other => other,
        }
    }
}

/// Elements of an operand x (rows, inputs): of a batch, or of as many rows on the device.
pub(crate) fn batch_elements(format: u32, rows: u32, inputs: u32) -> u64 {
    let row = if format == 0 {
        inputs
    } else {
        inputs.next_multiple_of(4)
    };
    u64::from(rows) * u64::from(row)
}

/// The kernel of this name.
pub fn find(name: &str) -> Option<&'static Kernel> {
    ALL.iter().find(|k| k.name == name)
}
