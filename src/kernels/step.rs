//! What changes from one step to the next while a plan's ops stay.

/// One step. A kernel names in its [declaration](super::declare) what it takes of it; its twin sees no more, and neither does its
/// WGSL, where the same names follow the parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StepAt {
    /// Updates asked for so far, this one included; refused ones, too.
    pub step: u32,
    /// Steps that a small network takes at once.
    pub steps: u32,
    /// Place in the order of the batch's first row, for data on the device.
    pub start: u32,
    /// Place of the batch's loss in the history.
    pub slot: u32,
    /// Place of the gradient's norm among the norms.
    pub norm_slot: u32,
    /// Batches before this one, for dropout; from 2³² on again from 0.
    pub batch: u32,
    /// The factor on the gradients' sums: 1, or 1/rows.
    pub grad_scale: f64,
    /// The learning rate.
    pub lr: f64,
    /// What is left of a weight that decays apart from the gradient; 1 for others.
    pub shrink: f64,
}

/// The first.
impl Default for StepAt {
    fn default() -> Self {
        Self::FIRST
    }
}

impl StepAt {
    /// The first step, for ops that look at none of it.
    pub const FIRST: Self = Self {
        step: 1,
        steps: 1,
        start: 0,
        slot: 0,
        norm_slot: 0,
        batch: 0,
        grad_scale: 1.0,
        lr: 0.0,
        shrink: 1.0,
    };

    /// The first step, of a batch that begins at this place in the order.
    pub fn starting(start: u32) -> Self {
        Self {
            start,
            ..Self::FIRST
        }
    }

    /// The same as the GPU holds it, rounded to f32.
    pub fn as_device(&self) -> Self {
        let round = |x: f64| f64::from(x as f32);
        Self {
            grad_scale: round(self.grad_scale),
            lr: round(self.lr),
            shrink: round(self.shrink),
            ..*self
        }
    }
}
