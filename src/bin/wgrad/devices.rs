//! `wgrad devices`.

use clap::Args;
use serde_json::json;
use wgrad::Device;

use crate::failure::{At, Failure};
use crate::{output, setup};

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
        let told = |(adapter, details): &_| json!({ "adapter": adapter, "details": details });
        let list: Vec<_> = adapters.iter().map(told).collect();
        let auto = match &auto {
            Ok(chosen) => json!({ "device": chosen.device.to_string(), "why": chosen.why }),
            Err(failure) => json!({ "error": failure.text(At::Elsewhere) }),
        };
        let cpu = Device::cpu().to_string();
        return output::json(&json!({ "adapters": list, "cpu": cpu, "auto": auto }));
    }
    for (adapter, d) in &adapters {
        let (index, name, kind) = (adapter.index, &adapter.name, &adapter.kind);
        output::line(format_args!("[{index}] {name} — {kind}"))?;
        let (backend, driver) = (&adapter.backend, &adapter.driver);
        output::line(format_args!("    backend    {backend}, driver {driver}"))?;
        let memory = d
            .memory
            .map_or("not told by the driver".into(), output::bytes);
        output::line(format_args!("    memory     {memory}"))?;
        let (all, once) = (output::bytes(d.max_buffer), output::bytes(d.max_binding));
        let buffers = format!("up to {all}, of which a kernel sees {once} at once");
        output::line(format_args!("    buffers    {buffers}"))?;
        let shared = output::bytes(d.workgroup_memory.into());
        let workgroups = format!(
            "up to {} invocations, sharing {shared}",
            d.workgroup_invocations
        );
        output::line(format_args!("    workgroups {workgroups}"))?;
        let subgroups = match d.subgroup {
            Some((least, most)) if least == most => format!("subgroups of {least}"),
            Some((least, most)) => format!("subgroups of {least} to {most}"),
            None => "no subgroups".into(),
        };
        let no = |has: bool| if has { "" } else { "no " };
        let (times, f16) = (no(d.timestamps), no(d.f16));
        let features = format!("{subgroups}, {times}timestamps, {f16}f16 in shaders");
        output::line(format_args!("    features   {features}"))?;
        if let Some(unfit) = &d.unfit {
            output::line(format_args!("    unfit      {unfit}"))?;
        }
    }
    if adapters.is_empty() {
        let get = "`apt-get install mesa-vulkan-drivers` brings drivers, and a software adapter";
        output::line(format_args!("no GPU: on Debian and Ubuntu {get}"))?;
    }
    output::line(format_args!("cpu  {}", Device::cpu()))?;
    let chosen = auto?;
    output::line(format_args!("auto takes {}: {}", chosen.device, chosen.why))
}
