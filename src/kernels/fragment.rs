//! The check of a user's WGSL, without a GPU.

use super::{ALL, Load, MATH};
use crate::error::{Error, Result};

/// Whether a user's fragment compiles and declares what an activation needs. No GPU takes part.
pub(crate) fn check_fragment(name: &str, wgsl: &str) -> Result<()> {
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
