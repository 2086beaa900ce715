//! Which form of the matmul runs for which sizes on this device, and which networks in one workgroup: as pinned, recorded,
//! measured, or by the default table.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use crate::exec::choices::{
    Choices, Tuning, TuningReport, product_name, read_choices, write_choices,
};
use crate::exec::device::DeviceOptions;
use crate::exec::gpu::{Gpu, lock};
use crate::kernels::form::{AdapterKind, Extents, MAX_PARTS, MAX_PARTS_ELEMENTS, default_choice};
use crate::kernels::{Call, Choice, FORMS, Variant};

/// Time for all measurements on a device unless the options say.
const BUDGET: Duration = Duration::from_secs(20);

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Pinned, read from the cache, measured or taken from the table.
    used: Choices,
    /// What may be used: pinned, cached and measured.
    pub known: Choices,
    /// Of variants that were checked: what is wrong with them.
    pub checked: HashMap<(&'static str, Variant), Option<String>>,
    pub report: TuningReport,
    pub spent: Duration,
}

/// What decides the form of each product on a device: what is known, else the default table. It measures nothing; see
/// [`tune`](crate::tune).
#[derive(Debug)]
pub(crate) struct Chooser {
    /// Whether what is not known shall be measured.
    pub on: bool,
    /// Time for all measurements; what comes later takes the default table.
    pub budget: Duration,
    file: Option<PathBuf>,
    pub state: Mutex<State>,
    /// Measurements do not disturb each other.
    pub measuring: Mutex<()>,
}

impl Chooser {
    pub fn new(options: &DeviceOptions, real: bool, adapter: &str) -> Self {
        let on = match options.tuning {
            // A device with faults is there to be judged as it is.
            Tuning::Auto => real && options.faults.is_empty(),
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
    pub fn choose(&self, call: &Call, extents: Extents) -> Choice {
        let product = product_name(call.kernel().name, extents);
        let choice = self
            .known_choice(call, extents, &product)
            .unwrap_or_else(|| self.default_choice(call, extents));
        lock(&self.chooser.state).used.insert(product, choice);
        choice
    }

    /// What is used for a product already, or may be.
    pub fn known_choice(&self, call: &Call, extents: Extents, product: &str) -> Option<Choice> {
        let state = lock(&self.chooser.state);
        let used = state.used.get(product);
        let usable = |choice: &Choice| {
            self.can_run(choice.form)
                && choice.form.covers(extents)
                && can_have_parts(call, choice.parts)
        };
        used.filter(|choice| choice.form.covers(extents))
            .or_else(|| state.known.get(product).filter(usable))
    }

    /// Whether a network can be trained whole in one workgroup.
    pub fn fits_workgroup(&self, call: &Call) -> bool {
        let Call::SmallNetwork(p) = call else {
            return false;
        };
        // Some drivers stop long loops.
        self.small_network != Some(false)
            && self.can_bind(call)
            && p.iterations() <= self.plan_limits().iterations
    }

    /// Whether the network of this name is trained whole in one workgroup, where that is known.
    pub fn known_network(&self, name: &str) -> Option<bool> {
        let state = lock(&self.chooser.state);
        let used = state.used.small_network(name).or(self.small_network);
        used.or_else(|| state.known.small_network(name))
    }

    /// Whether this network, which [fits](Self::fits_workgroup), is trained whole in one workgroup.
    pub fn choose_network(&self, call: &Call, name: String) -> bool {
        // A workgroup is one core of many: launches must cost more than the work. Not measured on any real GPU yet.
        let table = || !self.goes_by_software() && call.cost().flops < 1 << 20;
        let small = self.known_network(&name).unwrap_or_else(table);
        lock(&self.chooser.state).used.insert_network(name, small);
        small
    }

    /// From now on these choices are used. If that cannot be, or others are in use already, it says so and changes nothing.
    pub fn pin(&self, choices: &Choices) -> std::result::Result<(), String> {
        let mut state = lock(&self.chooser.state);
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
    pub fn default_choice(&self, call: &Call, extents: Extents) -> Choice {
        let adapter = AdapterKind {
            software: self.goes_by_software(),
            subgroup: self.subgroup,
            workgroup_memory: self.limits.max_compute_workgroup_storage_size,
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
        let state = lock(&self.chooser.state);
        state.checked.get(&key).is_some_and(Option::is_some)
    }

    /// What was chosen so far.
    pub fn choices(&self) -> Choices {
        lock(&self.chooser.state).used.clone()
    }

    /// What was measured so far.
    pub fn tuning_report(&self) -> TuningReport {
        lock(&self.chooser.state).report.clone()
    }

    /// Keeps choices for the next run.
    pub fn save(&self, known: &Choices) {
        if let Some(file) = &self.chooser.file
            && let Err(error) = write_choices(file, known)
        {
            let note = format!("{} cannot be written: {error}", file.display());
            lock(&self.chooser.state).report.note(note);
        }
    }
}

/// Whether this product's k can be summed in so many parts: of gradients only, while the parts stay small.
pub(crate) fn can_have_parts(call: &Call, parts: u32) -> bool {
    match call {
        _ if parts == 1 => true,
        Call::DenseBackwardParams(p) => {
            let elements = u64::from(p.outputs) * u64::from(p.inputs);
            parts <= MAX_PARTS && elements * u64::from(parts) <= MAX_PARTS_ELEMENTS
        }
        _ => false,
    }
}
