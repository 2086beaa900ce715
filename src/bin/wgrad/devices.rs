//! `wgrad devices`.

use clap::Args;
use serde_json::json;
use wgrad::Device;

use crate::failure::{At, Failure};
use crate::output;
use crate::setup;

const EXAMPLES: &str = "\
Examples:
  wgrad devices
  wgrad devices --json
  WGPU_BACKEND=vulkan wgrad devices

`--device` of the other commands takes auto, cpu, gpu (the first of this list), a number, or a
part of a name. WGPU_ADAPTER_NAME and WGPU_BACKEND narrow the choice of auto and gpu.";

/// The devices there are, what they allow, and which one auto takes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(a: &Arguments) -> Result<(), Failure> {
    let adapters = Device::adapter_details();
    let auto = setup::device("auto");
    if a.json {
        let list: Vec<_> = adapters
            .iter()
            .map(|(adapter, details)| json!({ "adapter": adapter, "details": details }))
            .collect();
        let auto = match &auto {
            Ok(chosen) => json!({ "device": chosen.device.to_string(), "why": chosen.why }),
            Err(failure) => json!({ "error": failure.text(At::Elsewhere) }),
        };
        return output::json(
            &json!({ "adapters": list, "cpu": Device::cpu().to_string(), "auto": auto }),
        );
    }
    for (adapter, d) in &adapters {
        output::line(format_args!(
            "[{}] {} — {}",
            adapter.index, adapter.name, adapter.kind
        ))?;
        output::line(format_args!(
            "    backend    {}, driver {}",
            adapter.backend, adapter.driver
        ))?;
        let memory = d
            .memory
            .map_or("not told by the driver".into(), output::bytes);
        output::line(format_args!("    memory     {memory}"))?;
        output::line(format_args!(
            "    buffers    up to {}, of which a kernel sees {} at once",
            output::bytes(d.max_buffer),
            output::bytes(d.max_binding)
        ))?;
        output::line(format_args!(
            "    workgroups up to {} invocations, sharing {}",
            d.workgroup_invocations,
            output::bytes(d.workgroup_memory.into())
        ))?;
        let subgroups = match d.subgroup {
            Some((least, most)) if least == most => format!("subgroups of {least}"),
            Some((least, most)) => format!("subgroups of {least} to {most}"),
            None => "no subgroups".into(),
        };
        let has = |has: bool, what: &str| {
            if has {
                what.to_owned()
            } else {
                format!("no {what}")
            }
        };
        output::line(format_args!(
            "    features   {subgroups}, {}, {}",
            has(d.timestamps, "timestamps"),
            has(d.f16, "f16 in shaders")
        ))?;
        if let Some(unfit) = &d.unfit {
            output::line(format_args!("    unfit      {unfit}"))?;
        }
    }
    if adapters.is_empty() {
        output::line(
            "no GPU: on Debian and Ubuntu `apt-get install mesa-vulkan-drivers` brings drivers, and a software adapter",
        )?;
    }
    output::line(format_args!("cpu  {}", Device::cpu()))?;
    let chosen = auto?;
    output::line(format_args!("auto takes {}: {}", chosen.device, chosen.why))
}
