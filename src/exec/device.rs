//! Where a plan runs: a GPU, the CPU path, or the f64 reference.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::activation::Activation;
use crate::error::{Error, Result};
use crate::exec::choices::{Choices, Tuning, TuningCache, TuningReport};
use crate::exec::gpu::{self, Gpu};
use crate::kernels::{self, Form};
use crate::plan::Limits;

/// An adapter, as [`Device::adapters`] lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdapterDescription {
    /// Place in the list, best first; [`AdapterChoice::Index`] takes it.
    pub index: usize,
    /// The adapter's name.
    pub name: String,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// Discrete, integrated, virtual or software.
    pub kind: String,
    /// Whether it is a program on the CPU.
    pub software: bool,
}

impl fmt::Display for AdapterDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{}] {} ({}, {}, {})",
            self.index, self.name, self.kind, self.backend, self.driver
        )
    }
}

/// What an adapter allows, as far as this crate uses it; see [`Device::adapter_details`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AdapterDetails {
    /// Bytes of its memory, where the driver says.
    pub memory: Option<u64>,
    /// Bytes of the largest buffer.
    pub max_buffer: u64,
    /// Bytes of a buffer that a kernel can see at once. Larger parameters are split into parts.
    pub max_binding: u64,
    /// Bytes of memory that a workgroup shares.
    pub workgroup_memory: u32,
    /// Invocations of a workgroup, at most.
    pub workgroup_invocations: u32,
    /// Lanes of a subgroup, least and most, where kernels may use subgroups.
    pub subgroup: Option<(u32, u32)>,
    /// Whether passes can be timed on the device.
    pub timestamps: bool,
    /// Whether shaders can compute in f16. No kernel needs it: [`Storage::F16`](crate::Storage::F16) is unpacked to f32.
    pub f16: bool,
    /// Why the kernels cannot run there, if they cannot.
    pub unfit: Option<String>,
}

/// Which adapter to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The first whose name contains this, in any case of letters.
    Name(String),
    /// The one at this place of [`Device::adapters`].
    Index(usize),
}

/// How to open a GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Which adapter; the environment's WGPU_ADAPTER_NAME, else the best, unless chosen.
    pub adapter: Option<AdapterChoice>,
    /// Compile the library's kernels with WGSL's bounds checks and loop bounds. Off by default: the kernels guard their own
    /// accesses and are tested both ways, and the checks cost up to a third of the speed. Custom fragments are always checked.
    pub shader_checks: bool,
    /// Refuse to allocate more than so many bytes on the device.
    pub memory_limit: Option<u64>,
    /// Treat storage bindings as no larger than so many bytes, so that parameters are split as on a smaller adapter.
    pub binding_limit: Option<u64>,
    /// Whether the fastest form of each matrix product is found by measurement.
    pub tuning: Tuning,
    /// Time that measuring may take on the device in all, compiling and checking included; 20 seconds unless said. One product may
    /// take 3/20 of it. What comes later takes the default table.
    pub tuning_budget: Option<Duration>,
    /// Choices to use without measuring, as [`Device::choices`] recorded them.
    pub choices: Choices,
    /// Where measured choices are kept between runs.
    pub cache: TuningCache,
    /// Load matrices one element at a time even where rows are whole vec4s. For comparison: the bits are the same.
    pub scalar_loads: bool,
    /// Train small networks whole in one workgroup, many steps in a dispatch, wherever that can be done; or never. Unless this is
    /// said, it is done where it was measured to be faster, or where the default table says so.
    pub small_network: Option<bool>,
    /// What the adapter is taken for; unless said, what the environment's WGRAD_ASSUME says.
    pub assumed: Assumed,
    /// Faults to plant in the kernels, to see that the checks catch them.
    pub faults: Vec<Fault>,
}

/// What an adapter is taken for, whatever it says of itself: so that what real GPUs do by default is tested where there is none.
/// As text, in WGRAD_ASSUME: `discrete`, `memory=BYTES`, or both with a comma between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Assumed {
    /// A real GPU: products and small networks are measured, and where they are not, the default tables are those of real GPUs.
    pub discrete: bool,
    /// Bytes of its memory.
    pub memory: Option<u64>,
}

impl FromStr for Assumed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut assumed = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            match part.strip_prefix("memory=").map(str::parse) {
                Some(Ok(bytes)) => assumed.memory = Some(bytes),
                None if part == "discrete" => assumed.discrete = true,
                _ => {
                    let allowed = "discrete, memory=BYTES, or both with a comma";
                    return Err(Error::argument("WGRAD_ASSUME", text, allowed));
                }
            }
        }
        Ok(assumed)
    }
}

impl Assumed {
    /// This, or what the environment says.
    pub(crate) fn or_environment(self) -> Result<Self> {
        match std::env::var("WGRAD_ASSUME") {
            Ok(text) if self == Self::default() => text.parse(),
            _ => Ok(self),
        }
    }
}

/// A fault planted in a kernel: the first occurrence of some WGSL, replaced. Meant for tests of the tests: a verification that
/// passes on a device with a fault proves nothing. The text to replace stands in `shaders/`.
///
/// ```no_run
/// use wgrad::{Device, DeviceOptions, Fault};
/// let device = Device::open(&DeviceOptions {
///     faults: vec![Fault::new("dense_forward", "product[j] + bias[o + j]", "product[j]")],
///     ..DeviceOptions::default()
/// })?;
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the kernel.
    pub kernel: String,
    /// WGSL to replace, in the kernel's file or in the fragments appended to it.
    pub find: String,
    /// What to put there.
    pub replace: String,
}

impl Fault {
    /// A fault in a kernel.
    pub fn new(kernel: &str, find: &str, replace: &str) -> Self {
        Self {
            kernel: kernel.into(),
            find: find.into(),
            replace: replace.into(),
        }
    }

    /// The text with the fault, if the text has the place for it. Comments go, so that only code is hit.
    pub(crate) fn plant(&self, text: &str) -> Option<String> {
        let lines = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or(""));
        let code = lines.collect::<Vec<_>>().join("\n");
        let hit = code.contains(&self.find);
        hit.then(|| code.replacen(&self.find, &self.replace, 1))
    }

    /// Whether the kernel exists and has the place, in some variant.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(kernel) = kernels::find(&self.kernel) else {
            let names: Vec<&str> = kernels::ALL.iter().map(|kernel| kernel.name).collect();
            return Err(Error::argument(
                "the kernel of a fault",
                format!("{:?}", self.kernel),
                format!("one of {}", names.join(", ")),
            ));
        };
        let variants = kernel.variants();
        let texts = Activation::table().into_iter().flat_map(|phi| {
            variants
                .iter()
                .map(move |variant| kernel.wgsl(variant, &phi))
        });
        if texts.into_iter().any(|text| self.plant(&text).is_some()) {
            return Ok(());
        }
        Err(Error::argument(
            format!("the fault for kernel {}", self.kernel),
            format!("{:?}", self.find),
            "text that occurs in the kernel's code",
        ))
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Gpu(Arc<Gpu>),
    Cpu,
    Reference,
}

/// Where a [`Trainer`](crate::Trainer) runs. Cheap to clone; clones share the GPU.
#[derive(Debug, Clone)]
pub struct Device {
    pub(crate) kind: Backend,
}

impl Device {
    /// The best GPU: a discrete one, else integrated, else virtual, else a software adapter, which its description then
    /// calls one. WGPU_ADAPTER_NAME and WGPU_BACKEND narrow the choice.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] without any, [`Error::AdapterNotFound`] if WGPU_ADAPTER_NAME matches none.
    pub fn gpu() -> Result<Self> {
        Self::open(&DeviceOptions::default())
    }

    /// [`Device::gpu`] for asynchronous code.
    ///
    /// # Errors
    /// As [`Device::gpu`].
    pub async fn gpu_async() -> Result<Self> {
        Self::open_async(&DeviceOptions::default()).await
    }

    /// The GPU whose name contains `name`.
    ///
    /// # Errors
    /// [`Error::AdapterNotFound`], with the list, if there is none.
    pub fn gpu_named(name: &str) -> Result<Self> {
        Self::open(&DeviceOptions {
            adapter: Some(AdapterChoice::Name(name.into())),
            ..DeviceOptions::default()
        })
    }

    /// A GPU, opened as the options say.
    ///
    /// # Errors
    /// As [`Device::gpu`].
    pub fn open(options: &DeviceOptions) -> Result<Self> {
        pollster::block_on(Self::open_async(options))
    }

    /// [`Device::open`] for asynchronous code.
    ///
    /// # Errors
    /// As [`Device::gpu`].
    pub async fn open_async(options: &DeviceOptions) -> Result<Self> {
        options.faults.iter().try_for_each(Fault::check)?;
        Ok(Self {
            kind: Backend::Gpu(Arc::new(gpu::adapter::open(options).await?)),
        })
    }

    /// The CPU path: the same plan in f32 on all cores, matrix products by the `gemm` crate.
    pub fn cpu() -> Self {
        Self { kind: Backend::Cpu }
    }

    /// The f64 reference: the same plan in f64 on plain loops. Slow, and the judge of the others.
    pub fn reference() -> Self {
        Self {
            kind: Backend::Reference,
        }
    }

    /// A real GPU if there is one, else the CPU path; its description says which. A software adapter is never taken:
    /// the CPU path is faster. Where WGPU_ADAPTER_NAME asks for an adapter, it gets that one.
    ///
    /// # Errors
    /// Of opening the GPU that was found; having none is no error.
    pub fn auto() -> Result<Self> {
        pollster::block_on(Self::auto_async())
    }

    /// [`Device::auto`] for asynchronous code.
    ///
    /// # Errors
    /// As [`Device::auto`].
    pub async fn auto_async() -> Result<Self> {
        if std::env::var_os("WGPU_ADAPTER_NAME").is_some_and(|name| !name.is_empty()) {
            return Self::gpu_async().await;
        }
        let adapters = Self::adapters_async().await;
        match adapters.iter().find(|adapter| !adapter.software) {
            Some(adapter) => {
                Self::open_async(&DeviceOptions {
                    adapter: Some(AdapterChoice::Index(adapter.index)),
                    ..DeviceOptions::default()
                })
                .await
            }
            None => Ok(Self::cpu()),
        }
    }

    /// Every adapter that can compute, best first.
    pub fn adapters() -> Vec<AdapterDescription> {
        pollster::block_on(gpu::adapter::adapters())
    }

    /// [`Device::adapters`] for asynchronous code.
    pub async fn adapters_async() -> Vec<AdapterDescription> {
        gpu::adapter::adapters().await
    }

    /// Every adapter that can compute, best first, with what it allows. None is opened.
    pub fn adapter_details() -> Vec<(AdapterDescription, AdapterDetails)> {
        pollster::block_on(gpu::adapter::details())
    }

    /// The adapter, if this is a GPU.
    pub fn adapter(&self) -> Option<AdapterDescription> {
        match &self.kind {
            Backend::Gpu(gpu) => Some(gpu::adapter::describe(gpu.index, &gpu.info)),
            _ => None,
        }
    }

    /// Whether this is a GPU whose adapter is a program on the CPU.
    pub fn is_software(&self) -> bool {
        matches!(&self.kind, Backend::Gpu(gpu) if gpu.is_software())
    }

    /// The form of each matrix product that was run on this device so far. Empty on a CPU.
    pub fn choices(&self) -> Choices {
        match &self.kind {
            Backend::Gpu(gpu) => gpu.choices(),
            _ => Choices::default(),
        }
    }

    /// What was measured on this device since it was opened, and what was found unfit for it.
    pub fn tuning_report(&self) -> TuningReport {
        match &self.kind {
            Backend::Gpu(gpu) => gpu.tuning_report(),
            _ => TuningReport::default(),
        }
    }

    /// The forms of the matmul that this device can run. None on a CPU, whose products the `gemm` crate computes.
    pub fn forms(&self) -> Vec<&'static Form> {
        match &self.kind {
            Backend::Gpu(gpu) => kernels::FORMS
                .iter()
                .filter(|form| gpu.can_run(form))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Gives the GPU up at once: every later call on it returns [`Error::DeviceLost`]. Without effect on a CPU.
    pub fn destroy(&self) {
        if let Backend::Gpu(gpu) = &self.kind {
            gpu.destroy();
        }
    }

    /// What decides the bits that it computes, apart from the choice of kernels: adapter and driver, or CPU and threads.
    pub(crate) fn identity(&self) -> String {
        match &self.kind {
            Backend::Gpu(gpu) => {
                let adapter = gpu::adapter::describe(gpu.index, &gpu.info);
                let (name, backend, driver) = (adapter.name, adapter.backend, adapter.driver);
                format!("{name} ({backend}, {driver})")
            }
            Backend::Reference => self.to_string(),
            // The gemm crate takes the widest vectors there are, and divides its sums by the number of threads.
            Backend::Cpu => {
                #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
                let vectors = match () {
                    () if std::arch::is_x86_feature_detected!("avx512f") => " with AVX-512",
                    () if std::arch::is_x86_feature_detected!("fma") => " with FMA",
                    () => "",
                };
                #[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
                let vectors = "";
                format!("{self}, {}{vectors}", std::env::consts::ARCH)
            }
        }
    }

    /// Sees that what was recorded goes on here with its bits: on the same device, and from now on with the same kernels.
    pub(crate) fn pin(&self, recorded: &str, choices: &Choices) -> Result<()> {
        let other = |found: String| {
            Err(Error::OtherDevice {
                recorded: recorded.to_owned(),
                found,
            })
        };
        if self.identity() != recorded {
            return other(self.identity());
        }
        match &self.kind {
            Backend::Gpu(gpu) => match gpu.pin(choices) {
                Ok(()) => Ok(()),
                Err(difference) => other(format!(
                    "the same adapter, but {difference} (a Device opened anew, with default options, takes the recorded kernels)"
                )),
            },
            _ => Ok(()),
        }
    }

    pub(crate) fn plan_limits(&self) -> Limits {
        match &self.kind {
            Backend::Gpu(gpu) => gpu.plan_limits(),
            _ => Limits::host(),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Backend::Cpu => write!(f, "CPU, f32, {} threads", crate::number::pool::threads()),
            Backend::Reference => write!(f, "CPU, f64 reference"),
            Backend::Gpu(gpu) => {
                let adapter = gpu::adapter::describe(gpu.index, &gpu.info);
                write!(
                    f,
                    "{} ({}, {}, {})",
                    adapter.name, adapter.kind, adapter.backend, adapter.driver
                )?;
                match gpu.faults() {
                    0 => Ok(()),
                    n => write!(f, " with {n} fault(s) planted"),
                }
            }
        }
    }
}
