//! Finding an adapter.

use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::exec::device::{AdapterChoice, AdapterDescription, AdapterDetails, DeviceOptions};
use crate::exec::gpu::Gpu;
use crate::exec::gpu::memory::driver_memory;

/// Order of preference: a discrete GPU, an integrated one, a virtual one, an unknown one, a software one.
fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// What users may know of an adapter.
pub(crate) fn describe(index: usize, info: &wgpu::AdapterInfo) -> AdapterDescription {
    AdapterDescription {
        index,
        name: info.name.clone(),
        backend: info.backend.to_string(),
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_owned(),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete GPU",
            wgpu::DeviceType::IntegratedGpu => "integrated GPU",
            wgpu::DeviceType::VirtualGpu => "virtual GPU",
            wgpu::DeviceType::Other => "unknown kind",
            wgpu::DeviceType::Cpu => "software, on the CPU",
        }
        .into(),
        software: info.device_type == wgpu::DeviceType::Cpu,
    }
}

/// The process's only instance. With one for each device, NVIDIA's driver for Linux is loaded and unloaded each time: on an H200
/// the 30th found no adapter, and several threads that made theirs at once crashed (gfx-rs/wgpu#5930).
fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= wgpu::Backends::PRIMARY;
        wgpu::Instance::new(descriptor)
    })
}

/// All adapters that can compute, best first; WGPU_BACKEND, as it was when the first were asked for, narrows them.
async fn list() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::PRIMARY;
    let mut adapters = instance().enumerate_adapters(backends).await;
    adapters.retain(|adapter| {
        let flags = adapter.get_downlevel_capabilities().flags;
        adapter.get_info().backend != wgpu::Backend::Noop
            && flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    });
    adapters.sort_by_key(|adapter| rank(&adapter.get_info()));
    adapters
}

/// [`list`], described.
pub(crate) async fn adapters() -> Vec<AdapterDescription> {
    let adapters = list().await;
    let infos = adapters.iter().map(|adapter| adapter.get_info());
    infos
        .enumerate()
        .map(|(i, info)| describe(i, &info))
        .collect()
}

/// [`list`], described, with what each allows.
pub(crate) async fn details() -> Vec<(AdapterDescription, AdapterDetails)> {
    let of = |(i, adapter): (usize, wgpu::Adapter)| {
        let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
        let subgroups = features.contains(wgpu::Features::SUBGROUP);
        let details = AdapterDetails {
            memory: driver_memory(&adapter),
            max_buffer: limits.max_buffer_size,
            max_binding: limits.max_storage_buffer_binding_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            subgroup: subgroups.then_some((info.subgroup_min_size, info.subgroup_max_size)),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            f16: features.contains(wgpu::Features::SHADER_F16),
            unfit: Gpu::check_limits(&info, &limits)
                .err()
                .map(|e| e.to_string()),
        };
        (describe(i, &info), details)
    };
    list().await.into_iter().enumerate().map(of).collect()
}

/// Opens the chosen adapter, or the best one.
pub(crate) async fn open(options: &DeviceOptions) -> Result<Gpu> {
    let mut adapters = list().await;
    if adapters.is_empty() {
        let backend = std::env::var("WGPU_BACKEND").ok();
        return Err(Error::NoAdapter {
            detail: match backend {
                Some(backend) => format!("Vulkan, Metal and DX12 asked, WGPU_BACKEND={backend}"),
                None => "Vulkan, Metal and DX12 asked".into(),
            },
        });
    }
    let choice = options.adapter.clone().or_else(|| {
        let name = std::env::var("WGPU_ADAPTER_NAME").ok()?;
        let name = Some(name).filter(|name| !name.is_empty())?;
        Some(AdapterChoice::Name(name))
    });
    let described = |adapters: &[wgpu::Adapter]| -> Vec<AdapterDescription> {
        let infos = adapters.iter().map(|adapter| adapter.get_info());
        infos
            .enumerate()
            .map(|(i, info)| describe(i, &info))
            .collect()
    };
    let index = match &choice {
        None => Some(0),
        Some(AdapterChoice::Index(index)) => Some(*index).filter(|i| *i < adapters.len()),
        Some(AdapterChoice::Name(name)) => {
            let name = name.to_lowercase();
            let mut names = adapters.iter().map(|a| a.get_info().name.to_lowercase());
            names.position(|candidate| candidate.contains(&name))
        }
    };
    let Some(index) = index else {
        let available: Vec<String> = described(&adapters)
            .iter()
            .map(|adapter| format!("  {adapter}"))
            .collect();
        return Err(Error::AdapterNotFound {
            wanted: match choice {
                Some(AdapterChoice::Name(name)) => name,
                Some(AdapterChoice::Index(index)) => format!("index {index}"),
                None => String::new(),
            },
            available: available.join("\n"),
        });
    };
    Gpu::open(adapters.swap_remove(index), index, options).await
}
