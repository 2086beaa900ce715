//! The tuner: measures which form of the matmul is fastest on this adapter, after each has matched the f64 twin.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::activation::Activation;
use crate::device::{Device, DeviceOptions, Kind};
use crate::error::Result;
use crate::executor::Executor;
use crate::gpu::{Gpu, lock};
use crate::kernels::form::{AdapterKind, Extents, MAX_PARTS, MAX_PARTS_ELEMENTS, default_choice};
use crate::kernels::{Access, Call, Choice, FORMS, Variant};
use crate::plan::{BufferSpec, Op, Payload, View};
use crate::tuning::{
    Choices, Disabled, Measured, MeasuredNetwork, Tuning, TuningReport, product_name, read_choices,
    write_choices,
};
use crate::verify;

/// Time for all measurements on a device unless the options say.
const BUDGET: Duration = Duration::from_secs(20);
/// A measurement lasts so long.
const SAMPLE: Duration = Duration::from_millis(5);
/// Candidates within this factor of the fastest are measured again.
const NEAR: f64 = 1.3;
/// So many times, if there is time.
const TURNS: usize = 5;
/// What the default table says stays unless another is faster by this factor: less is noise.
const MARGIN: f64 = 1.03;
/// Sides of larger products are measured at this size: they run at its speed, and need less memory.
const LARGEST: u32 = 2048;

#[derive(Debug, Default)]
struct State {
    /// Pinned, read from the cache, measured or taken from the table.
    used: Choices,
    /// What may be used: pinned, cached and measured.
    known: Choices,
    /// Of variants that were checked: what is wrong with them.
    checked: HashMap<(&'static str, Variant), Option<String>>,
    report: TuningReport,
    spent: Duration,
}

/// What decides the form of each product on a device.
#[derive(Debug)]
pub(crate) struct Tuner {
    on: bool,
    /// Time for all measurements; what comes later takes the default table.
    budget: Duration,
    file: Option<PathBuf>,
    state: Mutex<State>,
    /// Measurements do not disturb each other.
    measuring: Mutex<()>,
}

impl Tuner {
    pub fn new(options: &DeviceOptions, software: bool, adapter: &str) -> Self {
        let on = match options.tuning {
            // A device with faults is there to be judged as it is.
            Tuning::Auto => !software && options.faults.is_empty(),
            Tuning::On => true,
            Tuning::Off => false,
        };
        let mut state = State::default();
        // Faults change what is right and how fast it is: nothing of that may be kept.
        let kept = on && options.faults.is_empty();
        let file = options.cache.file(adapter).filter(|_| kept);
        if let Some(file) = &file {
            match read_choices(file) {
                Ok(choices) => state.known = choices,
                Err(error) => state.report.notes.push(error.to_string()),
            }
        }
        state.known.extend(options.choices.clone());
        Self {
            on,
            budget: options.tuning_budget.unwrap_or(BUDGET),
            file,
            state: Mutex::new(state),
            measuring: Mutex::new(()),
        }
    }
}

impl Gpu {
    /// How a product is computed where the op does not say.
    pub fn choose(self: &Arc<Self>, call: &Call, extents: Extents) -> Result<Choice> {
        let kernel = call.kernel();
        let product = product_name(kernel.name, extents);
        let tuner = &self.tuner;
        if let Some(choice) = lock(&tuner.state).used.get(&product)
            && choice.form.covers(extents)
        {
            return Ok(choice);
        }
        let usable = |choice: &Choice| {
            self.can_run(choice.form)
                && choice.form.covers(extents)
                && can_have_parts(call, choice.parts)
        };
        let known = lock(&tuner.state).known.get(&product).filter(usable);
        let choice = match known {
            Some(choice) => choice,
            None => {
                let measured = if tuner.on {
                    self.measure(call, extents, &product)?
                } else {
                    None
                };
                measured.unwrap_or_else(|| self.default_choice(call, extents))
            }
        };
        lock(&tuner.state).used.insert(product, choice);
        Ok(choice)
    }

    /// Whether this network is trained whole in one workgroup. `measure` gives the seconds of a step that way and op by op.
    pub fn choose_network(
        &self,
        call: &Call,
        name: String,
        measure: impl FnOnce() -> Result<(f64, f64)>,
    ) -> Result<bool> {
        let Call::SmallNetwork(p) = call else {
            return Ok(false);
        };
        // Some drivers stop long loops.
        let fits = self.can_bind(call) && p.uniform.iterations() <= self.plan_limits().iterations;
        if !fits || self.small_network == Some(false) {
            return Ok(false);
        }
        let tuner = &self.tuner;
        let (used, known) = {
            let state = lock(&tuner.state);
            (
                state.used.small_network(&name),
                state.known.small_network(&name),
            )
        };
        if let Some(small) = used.or(self.small_network).or(known) {
            lock(&tuner.state).used.insert_network(name, small);
            return Ok(small);
        }
        let small = if tuner.on && lock(&tuner.state).spent < tuner.budget {
            // Not under the lock: the products of the steps that are measured may be measured first.
            let start = Instant::now();
            let (whole, op_by_op) = measure()?;
            let mut state = lock(&tuner.state);
            state.spent += start.elapsed();
            state.report.networks.push(MeasuredNetwork {
                network: name.clone(),
                whole,
                op_by_op,
            });
            state.known.insert_network(name.clone(), whole < op_by_op);
            let known = state.known.clone();
            drop(state);
            self.save(&known);
            whole < op_by_op
        } else {
            // A workgroup is one core of many: launches must cost more than the work. Not measured on any real GPU yet.
            !self.is_software() && call.cost().flops < 1 << 20
        };
        lock(&tuner.state).used.insert_network(name, small);
        Ok(small)
    }

    /// From now on these choices are used. If that cannot be, or others are in use already, it says so and changes nothing.
    pub fn pin(&self, choices: &Choices) -> std::result::Result<(), String> {
        let mut state = lock(&self.tuner.state);
        for (product, choice) in choices.iter() {
            if !self.can_run(choice.form) {
                return Err(format!("{choice} cannot run with this device's options"));
            }
            match state.used.get(product) {
                Some(used) if used != choice => {
                    return Err(format!(
                        "{product} is computed by {used} here, not by {choice}"
                    ));
                }
                _ => {}
            }
        }
        for (name, small) in choices.small_networks() {
            let used = state.used.small_network(name).or(self.small_network);
            if used.is_some_and(|used| used != small) {
                let here = if small {
                    "op by op"
                } else {
                    "in one workgroup"
                };
                return Err(format!("{name} is trained {here} here"));
            }
        }
        state.known.extend(choices.clone());
        Ok(())
    }

    /// What the table says of a product.
    fn default_choice(&self, call: &Call, extents: Extents) -> Choice {
        let adapter = AdapterKind {
            software: self.is_software(),
            subgroup: self.subgroup,
        };
        let can_split = matches!(call, Call::DenseBackwardParams(_));
        let choice = default_choice(adapter, extents, can_split);
        if !self.known_wrong(call, choice) {
            return choice;
        }
        let others = FORMS
            .iter()
            .filter(|form| self.can_run(form) && form.covers(extents));
        let mut others = others.map(|form| Choice { form, parts: 1 });
        others
            .find(|other| !self.known_wrong(call, *other))
            .unwrap_or(choice)
    }

    /// Whether the tuner found that this variant computes wrongly here.
    fn known_wrong(&self, call: &Call, choice: Choice) -> bool {
        let key = (call.kernel().name, call.variant(Some(choice), self.vec4));
        let state = lock(&self.tuner.state);
        state.checked.get(&key).is_some_and(Option::is_some)
    }

    /// What was chosen so far.
    pub fn choices(&self) -> Choices {
        lock(&self.tuner.state).used.clone()
    }

    /// What was measured so far.
    pub fn tuning_report(&self) -> TuningReport {
        lock(&self.tuner.state).report.clone()
    }

    /// The fastest candidate, if there was time to measure.
    fn measure(
        self: &Arc<Self>,
        call: &Call,
        extents: Extents,
        product: &str,
    ) -> Result<Option<Choice>> {
        let _alone = lock(&self.tuner.measuring);
        if let Some(choice) = lock(&self.tuner.state).known.get(product) {
            return Ok(Some(choice));
        }
        let start = Instant::now();
        let note = |note: String| {
            let mut state = lock(&self.tuner.state);
            if !state.report.notes.contains(&note) {
                state.report.notes.push(note);
            }
        };
        let budget = self.tuner.budget;
        if lock(&self.tuner.state).spent >= budget {
            note(format!(
                "{budget:?} were spent on measuring: further products take the default table"
            ));
            return Ok(None);
        }
        let device = Device {
            kind: Kind::Gpu(Arc::clone(self)),
        };
        let call = call.resized(LARGEST);
        let mut bench = match Bench::new(&device, call) {
            Ok(bench) => bench,
            // Memory is needed for training first.
            Err(error) => {
                self.check()?;
                note(format!("{product} was not measured: {error}"));
                return Ok(None);
            }
        };
        let budget_each = budget * 3 / 20;
        let mut timed: Vec<Timed> = Vec::new();
        for choice in self.candidates(&call, extents) {
            if start.elapsed() >= budget_each {
                note(format!(
                    "{product}: not all candidates were measured in {budget_each:?}"
                ));
                break;
            }
            if !self.checked(&device, &call, choice)? {
                continue;
            }
            timed.push(bench.first_time(choice)?);
        }
        // Those that come near the fastest go on, in turns: other work on the machine slows all of them or none.
        timed.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let near = timed.first().map_or(0.0, |fastest| NEAR * fastest.seconds);
        let finalists = timed.partition_point(|t| t.seconds <= near);
        for _ in 0..TURNS {
            if finalists < 2 || start.elapsed() >= budget_each {
                break;
            }
            for t in &mut timed[..finalists] {
                t.seconds = t.seconds.min(bench.time(t.choice, t.count)?);
            }
        }
        let likely = self.default_choice(&call, extents);
        let judged = |t: &Timed| t.seconds / if t.choice == likely { MARGIN } else { 1.0 };
        let best = timed[..finalists]
            .iter()
            .min_by(|a, b| judged(a).total_cmp(&judged(b)))
            .map(|t| t.choice);
        let measured = timed.iter().map(|t| Measured {
            product: product.to_owned(),
            choice: t.choice,
            seconds: t.seconds,
            flops: call.cost().flops as f64 / t.seconds,
        });
        let mut state = lock(&self.tuner.state);
        state.spent += start.elapsed();
        state.report.measured.extend(measured);
        let Some(choice) = best else {
            return Ok(None);
        };
        state.known.insert(product.to_owned(), choice);
        let known = state.known.clone();
        drop(state);
        self.save(&known);
        Ok(Some(choice))
    }

    /// Keeps choices for the next run.
    fn save(&self, known: &Choices) {
        if let Some(file) = &self.tuner.file
            && let Err(error) = write_choices(file, known)
        {
            let note = format!("{} cannot be written: {error}", file.display());
            lock(&self.tuner.state).report.notes.push(note);
        }
    }

    fn candidates(&self, call: &Call, extents: Extents) -> Vec<Choice> {
        let forms = FORMS
            .iter()
            .filter(|form| self.can_run(form) && form.covers(extents));
        let mut candidates: Vec<Choice> = forms.map(|form| Choice { form, parts: 1 }).collect();
        let likely = self.default_choice(call, extents);
        // The likeliest first, in case time runs out.
        candidates.sort_by_key(|choice| choice.form != likely.form);
        let whole = candidates.clone();
        for parts in [4, 16] {
            if extents.k / parts >= 32 && can_have_parts(call, parts) {
                candidates.extend(whole.iter().map(|choice| Choice { parts, ..*choice }));
            }
        }
        candidates
    }

    /// Whether the variant that this choice takes matches the f64 twin on its ragged shapes; found out once.
    fn checked(&self, device: &Device, call: &Call, choice: Choice) -> Result<bool> {
        let kernel = call.kernel();
        let variant = call.variant(Some(choice), self.vec4);
        if let Some(outcome) = lock(&self.tuner.state).checked.get(&(kernel.name, variant)) {
            return Ok(outcome.is_none());
        }
        let wrong = match verify::variant(device, call, choice) {
            Ok(None) => None,
            Ok(Some(check)) => Some(check),
            Err(error) => {
                self.check()?;
                Some(error.to_string())
            }
        };
        let mut state = lock(&self.tuner.state);
        if let Some(reason) = &wrong {
            state.report.disabled.push(Disabled {
                kernel: kernel.name.into(),
                variant: variant.to_string(),
                reason: reason.clone(),
            });
        }
        let passed = wrong.is_none();
        state.checked.insert((kernel.name, variant), wrong);
        Ok(passed)
    }
}

/// Whether this product's k can be summed in so many parts: of gradients only, while the parts stay small.
fn can_have_parts(call: &Call, parts: u32) -> bool {
    match call {
        _ if parts == 1 => true,
        Call::DenseBackwardParams(p) => {
            let elements = u64::from(p.outputs) * u64::from(p.inputs);
            parts <= MAX_PARTS && elements * u64::from(parts) <= MAX_PARTS_ELEMENTS
        }
        _ => false,
    }
}

/// One product with operands to run it on.
struct Bench {
    executor: Executor,
    op: Op,
}

/// Dispatches that a submission of the tuner has at most.
const REPEATS: usize = 64;

impl Bench {
    fn new(device: &Device, call: Call) -> Result<Self> {
        let operands = call.kernel().operands;
        let sizes = call.operand_sizes();
        let specs: Vec<BufferSpec> = operands
            .iter()
            .zip(&sizes)
            .map(|(operand, len)| BufferSpec::fixed(operand.name, *len))
            .collect();
        let views: Vec<View> = sizes
            .iter()
            .enumerate()
            .map(|(buffer, &len)| View {
                buffer,
                offset: 0,
                len,
            })
            .collect();
        let mut executor = Executor::new(device, &specs, &[], 0, REPEATS)?;
        // Never zeros: hardware may multiply them faster. Words are places: of row 0, or bits of such numbers.
        let numbers: Vec<f32> = (0..1 << 16)
            .map(|i| (i * 7919 % 1999 + 1) as f32 / 2000.0)
            .collect();
        for (operand, view) in operands.iter().zip(&views) {
            if operand.name == "order" {
                continue;
            }
            let mut at = 0;
            while at < view.len {
                let piece = View {
                    offset: at,
                    len: (view.len - at).min(numbers.len() as u64),
                    ..*view
                };
                executor.write(piece, Payload::Floats(&numbers[..piece.len as usize]))?;
                at += piece.len;
            }
        }
        let reads = operands.iter().filter(|o| o.access == Access::Read).count();
        Ok(Self {
            executor,
            op: Op {
                call,
                activation: Activation::Identity,
                reads: views[..reads].to_vec(),
                writes: views[reads..].to_vec(),
                layer: None,
                choice: None,
                part: None,
            },
        })
    }

    /// Measures a candidate for itself, after a run that does not count.
    fn first_time(&mut self, choice: Choice) -> Result<Timed> {
        self.time(choice, 1)?;
        let once = self.time(choice, 1)?;
        let count = ((SAMPLE.as_secs_f64() / once) as usize).clamp(1, REPEATS);
        let seconds = self.time(choice, count)?.min(self.time(choice, count)?);
        Ok(Timed {
            choice,
            count,
            seconds,
        })
    }

    /// Seconds of one run, from `count` of them.
    fn time(&mut self, choice: Choice, count: usize) -> Result<f64> {
        self.op.choice = Some(choice);
        let ops = vec![self.op.clone(); count];
        let start = Instant::now();
        self.executor.submit(&ops, &[])?;
        self.executor.wait()?;
        Ok(start.elapsed().as_secs_f64() / count as f64)
    }
}

/// A candidate that was measured.
#[derive(Debug, Clone, Copy)]
struct Timed {
    choice: Choice,
    /// Runs that last long enough together.
    count: usize,
    /// Of one run.
    seconds: f64,
}
