//! What an update makes of the gradient: the twin of update_gradient in shaders/update_element.wgsl, and the parts in which a norm is summed.

use super::word;
use crate::number::scalar::Scalar;

/// How an update takes the gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gradient<F> {
    scale: F,
    l2: F,
    l1: F,
    clip_value: F,
    plain: bool,
}

impl<F: Scalar> Gradient<F> {
    /// With the factor on the gradient's sums from the ledger, where grad_norm left it there. Nothing if the step is to be
    /// refused: its loss is not finite, or the norm of its gradient is not, which is an overflow.
    pub fn new(
        (grad_scale, scale_from_ledger): (f64, u32),
        l2: f64,
        l1: f64,
        clip_value: f64,
        ledger: &mut [F],
    ) -> Option<Self> {
        if !ledger[word::WINDOW].value().is_finite() {
            return None;
        }
        let scale = match scale_from_ledger {
            0 => F::of(grad_scale),
            _ => ledger[word::SCALE],
        };
        if !scale.is_finite() {
            ledger[word::OVERFLOW] = F::of(1.0);
            return None;
        }
        Some(Self {
            scale,
            l2: F::of(l2),
            l1: F::of(l1),
            clip_value: F::of(clip_value),
            plain: l1 == 0.0 && clip_value == 0.0,
        })
    }

    /// Whether nothing is clipped and there is no L1 penalty.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// scale·grad + l2·w.
    #[inline(always)]
    pub fn plain(&self, w: F, grad: F) -> F {
        self.scale * grad + self.l2 * w
    }

    /// scale·grad, clipped to ±clip_value unless that is 0, + l2·w + l1·sign(w).
    #[inline(always)]
    pub fn controlled(&self, w: F, grad: F) -> F {
        let mut g = self.scale * grad;
        if self.clip_value.value() != 0.0 && g.is_finite() {
            g = g.min(self.clip_value).max(-self.clip_value);
        }
        // −1, 0 or 1.
        let sign = F::of(2.0) * w.heaviside(0.5) - F::of(1.0);
        g + self.l2 * w + self.l1 * sign
    }
}

/// Most parts in which the squares of a segment are summed, and the fewest elements of one.
const MOST_PARTS: u64 = 1024;
const LEAST_LENGTH: u64 = 512;

/// Elements of each part of so many, a multiple of the lanes of a workgroup.
pub(crate) fn part_length(count: u64) -> u64 {
    let even = count.div_ceil(MOST_PARTS).next_multiple_of(64);
    even.max(LEAST_LENGTH)
}
