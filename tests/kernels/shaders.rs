//! Every shader, with each fragment appended, without a GPU: it parses, validates, declares what its operand list says,
//! translates for every backend, and satisfies Tint where that is on the PATH.

use std::io::Write;
use std::process::{Command, Stdio};

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ScalarKind, TypeInner};
use wgrad::Activation;
use wgrad::kernels::{ALL, Access, Constants, Family, Kernel, Load, Variant};

/// Every text that is ever compiled, with a name.
fn variants() -> Vec<(&'static Kernel, Variant, String, String)> {
    let mut variants = Vec::new();
    for kernel in ALL {
        let activations = if kernel.activation {
            Activation::table()
        } else {
            vec![Activation::Identity]
        };
        for (i, phi) in activations.into_iter().enumerate() {
            for variant in kernel.variants() {
                // No form looks into the activation: all of them with the first.
                if i > 0 && variant != kernel.variants()[i % kernel.variants().len()] {
                    continue;
                }
                let text = kernel.wgsl(&variant, &phi);
                variants.push((
                    kernel,
                    variant,
                    format!("{} {variant}, {phi}", kernel.name),
                    text,
                ));
            }
        }
    }
    variants
}

fn parse(name: &str, text: &str) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(text)
        .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(text)));
    let info = Validator::new(
        ValidationFlags::all(),
        Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    )
    .validate(&module)
    .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(text)));
    (module, info)
}

#[test]
fn every_shader_file_is_in_the_table() {
    let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders"))
        .expect("shaders/")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut known: Vec<String> = ALL.iter().map(|kernel| kernel.name.to_owned()).collect();
    known.extend(
        [
            "math",
            "rows",
            "blocks",
            "elements",
            "ledger",
            "update_element",
            "subgroup",
            "threefry",
            "columns",
        ]
        .map(String::from),
    );
    known.sort();
    assert_eq!(files, known);
}

/// Names, order and access of bindings are generated from the operand list; what a load's fragment says of its matrix is not.
#[test]
fn loads_read_words_of_the_width_that_the_host_chose_them_for() {
    for (kernel, variant, name, text) in variants() {
        let (module, _) = parse(&name, &text);
        assert_eq!(module.entry_points.len(), 1, "{name}");
        assert_eq!(module.entry_points[0].name, kernel.name);
        let Some((_, loads)) = variant.product else {
            continue;
        };
        for (matrix, load) in kernel.loads.iter().zip(loads) {
            let mut variables = module.global_variables.iter();
            let (_, variable) = variables
                .find(|(_, v)| v.binding.is_some() && v.name.as_deref() == Some(matrix.operand))
                .unwrap_or_else(|| panic!("{name}: {} is not bound", matrix.operand));
            let TypeInner::Array { base, .. } = module.types[variable.ty].inner else {
                panic!("{name}: {} is no array", matrix.operand);
            };
            let found = match module.types[base].inner {
                TypeInner::Scalar(s) => (s.kind, false),
                TypeInner::Vector { scalar, .. } => (scalar.kind, true),
                ref other => panic!("{name}: {other:?}"),
            };
            let expected = match load {
                Load::Scalar => (ScalarKind::Float, false),
                Load::Vec4 => (ScalarKind::Float, true),
            };
            assert_eq!(found, expected, "{name}: {}", matrix.operand);
        }
    }
}

/// The GPU's executor binds what is read, and then what is written.
#[test]
fn operands_that_are_read_come_first() {
    for kernel in ALL {
        let written = |i: usize| kernel.operands[i].access == Access::Write;
        let first = (0..kernel.operands.len()).position(written);
        let first = first.unwrap_or_else(|| panic!("{} writes nothing", kernel.name));
        assert!(
            (first..kernel.operands.len()).all(written),
            "{}",
            kernel.name
        );
    }
}

/// Every value that the host gives a variant's override constants.
fn constants(kernel: &Kernel, variant: &Variant) -> Vec<Constants> {
    match (kernel.family, variant.product) {
        (_, Some((form, _))) => vec![Constants::Group(form.invocations.0, form.invocations.1)],
        // As many as fit 16 KiB beside the rest.
        (Family::Network, _) => vec![Constants::Values(3836)],
        (Family::Rows, _) => (0..=6).map(|i| Constants::Lanes(1 << i)).collect(),
        _ => vec![Constants::None],
    }
}

#[test]
fn every_variant_translates_to_spirv_msl_and_hlsl() {
    for (kernel, variant, name, text) in variants() {
        let (module, info) = parse(&name, &text);
        for constants in constants(kernel, &variant) {
            let mut values = naga::back::PipelineConstants::default();
            for (constant, value) in constants.values() {
                values.insert(constant.into(), value);
            }
            let entry = Some((naga::ShaderStage::Compute, kernel.name));
            let (module, info) =
                naga::back::pipeline_constants::process_overrides(&module, &info, entry, &values)
                    .unwrap_or_else(|e| panic!("{name}: {e}"));
            let spirv = naga::back::spv::write_vec(&module, &info, &Default::default(), None);
            assert!(spirv.is_ok_and(|words| !words.is_empty()), "{name}: SPIR-V");
            naga::back::msl::write_string(&module, &info, &Default::default(), &Default::default())
                .unwrap_or_else(|e| panic!("{name}: MSL: {e}"));
            let mut hlsl = String::new();
            naga::back::hlsl::Writer::new(&mut hlsl, &Default::default(), &Default::default())
                .write(&module, &info, None)
                .unwrap_or_else(|e| panic!("{name}: HLSL: {e}"));
            // Workgroup memory stays under what every adapter has that can run it at all: WebGPU's default limit, or for forms that
            // say so more, where the host looks first.
            let mut layouter = naga::proc::Layouter::default();
            layouter.update(module.to_ctx()).expect("a layout");
            let bytes: u32 = module
                .global_variables
                .iter()
                .filter(|(_, v)| v.space == AddressSpace::WorkGroup)
                .map(|(_, v)| layouter[v.ty].size)
                .sum();
            let most = if name.contains("staged") { 26 } else { 16 } << 10;
            assert!(bytes <= most, "{name}: {bytes} bytes of workgroup memory");
            // And it is what the host goes by before it compiles; drivers align what is small.
            let known = kernel.workgroup(&variant, constants);
            assert_eq!(bytes.next_multiple_of(16), known.memory, "{name}");
            let [x, y, _] = module.entry_points[0].workgroup_size;
            assert_eq!((x, y), known.invocations, "{name}");
        }
    }
}

#[test]
fn every_variant_satisfies_tint() {
    if Command::new("tint").arg("--version").output().is_err() {
        println!("tint is not on the PATH: the second compiler's opinion is missing");
        return;
    }
    for (_, variant, name, text) in variants() {
        let mut child = Command::new("tint")
            .args(["--format", "wgsl", "--input-format", "wgsl", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tint starts");
        // Naga has no directive for subgroups yet, and Tint demands it.
        let subgroups = variant
            .product
            .is_some_and(|(form, _)| form.subgroup.is_some());
        let directive = if subgroups { "enable subgroups;\n" } else { "" };
        let text = format!("{directive}{text}");
        // A child that refuses its arguments closes its input early; its own message says so below.
        let _ = child
            .stdin
            .take()
            .expect("its input")
            .write_all(text.as_bytes());
        let output = child.wait_with_output().expect("tint ends");
        assert!(
            output.status.success(),
            "{name}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
