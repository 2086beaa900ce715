use super::cases::{Case, Generator};
use super::gradient::Gradient;
use super::{StepAt, Twin, UPDATE_ELEMENT, Work, declare, word};
use crate::config::activation::Activation;
use crate::config::optimizer::{Optimizer, Rule};
use crate::config::update::{Rates, UpdateFormula};
use crate::number::scalar::Scalar;

declare! {
    "update" in Elements, work: |p| Work::elements(p.count.div_ceil(UPDATES));
    params {
        count: u32,
        /// L2 penalty.
        l2: f64,
        /// L1 penalty.
        l1: f64,
        /// Limit of an element of the gradient, or 0.
        clip_value: f64,
        /// The factor on the gradient's sums is in the ledger, where grad_norm left it.
        scale_from_ledger: u32,
    }
    formulas { formula: UpdateFormula }
    step { step: u32, grad_scale: f64, lr: f64, shrink: f64 }
    reads { grad: f32[p.count] }
    writes {
        weight: f32[p.count],
        state0: f32[p.formula.states().min(1) as u32, p.count],
        state1: f32[p.formula.states().saturating_sub(1) as u32, p.count],
        ledger: f32[word::COUNT as u32],
    }
}

impl Params {
    /// The update of a segment.
    pub fn new(rule: &Rule, count: u32) -> Self {
        Self {
            count,
            l2: rule.optimizer.l2(),
            l1: rule.optimizer.l1(),
            clip_value: rule.clip.value.unwrap_or(0.0),
            scale_from_ledger: u32::from(rule.clip.norm.is_some()),
            formula: rule.optimizer.formula(),
        }
    }
}

/// Elements that an invocation updates: UPDATES in shaders/update.wgsl.
const UPDATES: u32 = 8;

impl Twin for Params {
    const SHARED: &'static [&'static str] = &[UPDATE_ELEMENT];

    /// The formula, after what [`Gradient`] makes of the gradient. Nothing is written where that would not be finite.
    fn run<F: Scalar>(&self, at: At, _: &Activation, operands: Operands<'_, F>) {
        let Operands {
            grad,
            weight,
            state0,
            state1,
            ledger,
        } = operands;
        let scale = (at.grad_scale, self.scale_from_ledger);
        let Some(gradient) = Gradient::new(scale, self.l2, self.l1, self.clip_value, ledger) else {
            return;
        };
        let rates = Rates {
            lr: F::of(at.lr),
            shrink: F::of(at.shrink),
            t: F::of(at.step.into()) - ledger[word::REFUSED],
        };
        let (weight, states) = (&mut weight[..self.count as usize], [state0, state1]);
        // Apart, so that both loops are vectorised.
        let fine = if gradient.is_plain() {
            let g = move |w, g| gradient.plain(w, g);
            self.formula.run(rates, weight, states, grad, g)
        } else {
            let g = move |w, g| gradient.controlled(w, g);
            self.formula.run(rates, weight, states, grad, g)
        };
        if !fine {
            ledger[word::OVERFLOW] = F::of(1.0);
        }
    }

    fn flops(&self) -> u64 {
        (4 + 6 * self.formula.states() as u64) * u64::from(self.count)
    }

    fn words_found(&self) -> u64 {
        (1 + self.formula.states() as u64) * u64::from(self.count)
    }

    fn cases(g: &mut Generator) -> Vec<Case> {
        // Penalties and limits: none, each, and all together.
        const CONTROLS: [(f64, f64, u32); 4] = [
            (0.0, 0.0, 0),
            (0.25, 0.0, 0),
            (0.0, 0.1, 0),
            (0.25, 0.03, 1),
        ];
        let mut cases = Vec::new();
        for count in g.counts() {
            // Where eps is next to nothing, and where it is most of the divisor.
            let gradient = if count == 257 { 1e-6 } else { 1.0 };
            for optimizer in Optimizer::examples() {
                // Two updates were refused: the first, and a later one.
                for step in [3, 1002] {
                    for (l1, clip_value, scale_from_ledger) in CONTROLS {
                        let p = Params {
                            l1,
                            clip_value,
                            scale_from_ledger,
                            ..Params::new(&optimizer.into(), count)
                        };
                        let [state0, mut state1] = g.states(p.formula.states(), count, gradient);
                        let mut grad = g.scaled(count, gradient);
                        // Elements whose update is to be refused. With such a state the weight alone would stay finite.
                        if count == 17 {
                            (grad, state1) = (grad.spoiled(), state1.spoiled());
                        }
                        let case = g.case(p).with("grad", grad).with("weight", g.floats(count));
                        let case = case.with("state0", state0).with("state1", state1);
                        cases.push(case.with("ledger", g.ledger()).at(StepAt {
                            step,
                            grad_scale: 0.125,
                            lr: optimizer.lr(),
                            shrink: optimizer.shrink(),
                            ..StepAt::default()
                        }));
                    }
                }
            }
        }
        cases
    }
}
