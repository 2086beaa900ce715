//! The check of a user's WGSL, without a GPU.

use super::{ALL, Load, MATH};
use crate::config::activation::Activation;
use crate::error::{Error, Result};

impl Activation {
    /// A function of your own: a WGSL fragment for the GPU and two Rust functions for the twins.
    ///
    /// The fragment declares `fn activate(z: f32) -> f32` and `fn activate_grad(z: f32) -> f32`, in f32. It may call the
    /// helpers of `shaders/math.wgsl`: `exp_nonpositive`, `expm1_nonpositive`, `log1p_unit`, `sigmoid_pair` (σ(x) and σ(−x)),
    /// `tanh_accurate`, `erf`, `is_finite`. `f` and `grad` are φ and φ′ as functions of z.
    /// [`verify::activation`](crate::verify::activation()) tells whether fragment and functions agree, and whether φ′ is
    /// the derivative of φ.
    ///
    /// # Errors
    /// [`Error::Fragment`] with the compiler's message and line if the fragment does not compile or lacks one of the two
    /// functions.
    ///
    /// # Example
    /// ```
    /// use wgrad::Activation;
    /// let square = Activation::custom(
    ///     "square",
    ///     "fn activate(z: f32) -> f32 { return z * z; }\nfn activate_grad(z: f32) -> f32 { return 2.0 * z; }",
    ///     |z| z * z,
    ///     |z| 2.0 * z,
    /// )?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn custom(
        name: &str,
        wgsl: &str,
        f: impl Fn(f64) -> f64 + Send + Sync + 'static,
        grad: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Result<Self> {
        check_fragment(name, wgsl)?;
        Ok(Self::of_checked(name, wgsl, f, grad))
    }
}

/// Whether a user's fragment compiles and declares what an activation needs. No GPU takes part.
fn check_fragment(name: &str, wgsl: &str) -> Result<()> {
    let fail = |message: String| Error::Fragment {
        name: name.to_owned(),
        message: message.trim_end().to_owned(),
    };
    let check = |text: &str| {
        let module = wgpu::naga::front::wgsl::parse_str(text)
            .map_err(|e| fail(e.emit_to_string_with_path(text, name)))?;
        wgpu::naga::valid::Validator::new(
            wgpu::naga::valid::ValidationFlags::all(),
            wgpu::naga::valid::Capabilities::SUBGROUP
                | wgpu::naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32,
        )
        .validate(&module)
        .map_err(|e| fail(e.emit_to_string_with_path(text, name)))?;
        Ok(module)
    };
    // The fragment comes first, so that the compiler's line is the fragment's; WGSL's order of declarations is free.
    let module = check(&format!("{wgsl}\n{MATH}"))?;
    for function in ["activate", "activate_grad"] {
        let f32_type = |handle| {
            module.types[handle].inner
                == wgpu::naga::TypeInner::Scalar(wgpu::naga::Scalar {
                    kind: wgpu::naga::ScalarKind::Float,
                    width: 4,
                })
        };
        let found = module.functions.iter().any(|(_, f)| {
            f.name.as_deref() == Some(function)
                && matches!(&f.arguments[..], [x] if f32_type(x.ty))
                && f.result.as_ref().is_some_and(|r| f32_type(r.ty))
        });
        if !found {
            return Err(fail(format!(
                "it declares no `fn {function}(z: f32) -> f32`"
            )));
        }
    }
    // Within each kernel, where names may clash; first in front, for the line, then behind, as it is compiled.
    for kernel in ALL.iter().filter(|kernel| kernel.activation) {
        for variant in kernel.variants() {
            // The loads declare the same names in every form: one of each is enough.
            if variant
                .product
                .is_some_and(|(_, [a, b])| (a, b) != (Load::Scalar, Load::Scalar))
            {
                continue;
            }
            let rest = kernel.wgsl_around(&variant);
            check(&format!("{wgsl}\n{rest}"))?;
            check(&format!("{rest}\n{wgsl}"))?;
        }
    }
    Ok(())
}
