//! What each optimisation buys: a step with everything on, against a step with one thing switched off.

use serde::Serialize;
use serde_json::{Map, Value, json};
use wgrad::{Choices, Device, DeviceOptions, Error, Tuning};

use crate::measure::{Network, Times, times};
use crate::options::Options;

/// An optimisation that a device can do without. A new one goes into [`SWITCHES`] and [`all_off`].
struct Switch {
    name: &'static str,
    /// How to open a device without it, given the forms that everything together chose: those stay, so that only one thing
    /// changes.
    off: fn(&Choices) -> DeviceOptions,
}

const SWITCHES: &[Switch] = &[
    Switch {
        name: "choice of forms (all products in tiles_32x32)",
        off: |chosen| pinned(plain(chosen)),
    },
    Switch {
        name: "tuning (the default table chooses)",
        off: |_| pinned(Choices::default()),
    },
    Switch {
        name: "vec4 loads",
        off: |chosen| DeviceOptions {
            scalar_loads: true,
            ..pinned(chosen.clone())
        },
    },
    Switch {
        name: "unchecked shaders",
        off: |chosen| DeviceOptions {
            shader_checks: true,
            ..pinned(chosen.clone())
        },
    },
    Switch {
        name: "small networks in one workgroup",
        off: |chosen| DeviceOptions {
            small_network: Some(false),
            ..pinned(chosen.clone())
        },
    },
];

/// Without any of these.
fn all_off(chosen: &Choices) -> DeviceOptions {
    DeviceOptions {
        small_network: Some(false),
        scalar_loads: true,
        shader_checks: true,
        ..pinned(plain(chosen))
    }
}

/// No other choices than these.
fn pinned(choices: Choices) -> DeviceOptions {
    DeviceOptions {
        tuning: Tuning::Off,
        choices,
        ..DeviceOptions::default()
    }
}

/// The same products, all in the plainest form.
fn plain(chosen: &Choices) -> Choices {
    let plain = |(product, _): (&str, _)| {
        let form = json!({"form": "tiles_32x32", "parts": 1});
        (product.to_owned(), form)
    };
    let products: Map<String, Value> = chosen.iter().map(plain).collect();
    let networks: Map<String, Value> = chosen
        .small_networks()
        .map(|(name, small)| (name.to_owned(), small.into()))
        .collect();
    // Every device can run this form.
    let all = json!({"products": products, "small_networks": networks});
    serde_json::from_value(all).expect("choices as they are recorded")
}

/// The times of a network with everything on, and with each thing off.
#[derive(Debug, Serialize)]
pub struct Ablation {
    pub network: String,
    pub all_on: Times,
    pub off: Vec<(&'static str, Times)>,
    pub all_off: Times,
    /// What the tuner chose.
    pub choices: Choices,
    /// What it has to say of that.
    pub notes: Vec<String>,
}

pub fn ablation(network: &Network, options: &Options) -> Result<Ablation, Error> {
    let all_on = options.open(DeviceOptions {
        // On a software adapter it takes longer than a short run may.
        tuning: if options.quick {
            Tuning::Auto
        } else {
            Tuning::On
        },
        ..DeviceOptions::default()
    })?;
    // Chooses the forms.
    let mut trainer = network.trainer(&all_on)?;
    trainer.step(&network.batch()?)?;
    trainer.take_loss()?;
    drop(trainer);
    let choices = all_on.choices();
    let mut devices = vec![all_on, options.open(all_off(&choices))?];
    for switch in SWITCHES {
        devices.push(options.open((switch.off)(&choices))?);
    }
    let devices: Vec<&Device> = devices.iter().collect();
    let mut times = times(&devices, network, options)?;
    let off = times.split_off(2);
    let names = SWITCHES.iter().map(|switch| switch.name);
    let report = devices[0].tuning_report();
    let disabled = report.disabled.iter();
    let disabled = disabled.map(|d| format!("not used: {} {}: {}", d.kernel, d.variant, d.reason));
    let disabled: Vec<String> = disabled.collect();
    Ok(Ablation {
        network: network.name(),
        all_on: times[0],
        all_off: times[1],
        off: names.zip(off).collect(),
        choices,
        notes: report.notes.into_iter().chain(disabled).collect(),
    })
}
