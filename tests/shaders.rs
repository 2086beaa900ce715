//! Every shader, with each fragment appended, without a GPU: it parses, validates, declares what its operand list says,
//! translates for every backend, and satisfies Tint where that is on the PATH.

use std::io::Write;
use std::process::{Command, Stdio};

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ScalarKind, StorageAccess, TypeInner};
use wgrad::Activation;
use wgrad::kernels::{ALL, Access, Family, Field, Kernel};

/// Every text that is ever compiled, with a name.
fn variants() -> Vec<(&'static Kernel, String, String)> {
    let mut variants = Vec::new();
    for kernel in ALL {
        let activations = if kernel.activation {
            Activation::table()
        } else {
            vec![Activation::Identity]
        };
        for phi in activations {
            let name = format!("{} with {phi}", kernel.name);
            variants.push((kernel, name, kernel.wgsl(&phi)));
        }
    }
    variants
}

fn parse(name: &str, text: &str) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(text)
        .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(text)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
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
    known.extend(["math", "rows", "tiles", "elements"].map(String::from));
    known.sort();
    assert_eq!(files, known);
}

#[test]
fn bindings_agree_with_the_operand_lists() {
    for (kernel, name, text) in variants() {
        let (module, _) = parse(&name, &text);
        assert_eq!(module.entry_points.len(), 1, "{name}");
        assert_eq!(module.entry_points[0].name, kernel.name);
        let mut bound: Vec<_> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| Some((variable.binding?, variable)))
            .collect();
        bound.sort_by_key(|(binding, _)| binding.binding);
        assert_eq!(bound.len(), kernel.operands.len() + 1, "{name}");

        let (binding, params) = bound[0];
        assert_eq!((binding.group, binding.binding), (0, 0));
        assert_eq!(params.name.as_deref(), Some("params"));
        assert_eq!(params.space, AddressSpace::Uniform);
        let TypeInner::Struct { members, .. } = &module.types[params.ty].inner else {
            panic!("{name}: params is no struct");
        };
        let fields: Vec<(String, Field, u32)> = members
            .iter()
            .map(|member| {
                let field = match module.types[member.ty].inner {
                    TypeInner::Scalar(s) if s.kind == ScalarKind::Uint => Field::U32,
                    TypeInner::Scalar(s) if s.kind == ScalarKind::Float => Field::F32,
                    ref other => panic!("{name}: {other:?}"),
                };
                (member.name.clone().unwrap(), field, member.offset)
            })
            .collect();
        let expected: Vec<(String, Field, u32)> = kernel
            .params
            .iter()
            .enumerate()
            .map(|(i, (name, field))| (name.to_string(), *field, 4 * i as u32))
            .collect();
        assert_eq!(fields, expected, "{name}");

        for (i, ((binding, variable), operand)) in
            bound[1..].iter().zip(kernel.operands).enumerate()
        {
            assert_eq!((binding.group, binding.binding), (0, i as u32 + 1));
            assert_eq!(variable.name.as_deref(), Some(operand.name), "{name}");
            let access = match operand.access {
                Access::Read => StorageAccess::LOAD,
                Access::Write => StorageAccess::LOAD | StorageAccess::STORE,
            };
            assert_eq!(variable.space, AddressSpace::Storage { access }, "{name}");
            let TypeInner::Array { base, .. } = module.types[variable.ty].inner else {
                panic!("{name}: {} is no array", operand.name);
            };
            let kind = if operand.words {
                ScalarKind::Uint
            } else {
                ScalarKind::Float
            };
            assert!(
                matches!(module.types[base].inner, TypeInner::Scalar(s) if s.kind == kind),
                "{name}: {}",
                operand.name
            );
        }
        // Reads come before writes.
        let first_write = kernel
            .operands
            .iter()
            .position(|o| o.access == Access::Write);
        let (_, writes) = kernel
            .operands
            .split_at(first_write.expect("a written operand"));
        assert!(writes.iter().all(|o| o.access == Access::Write), "{name}");
    }
}

/// Every value that the host gives a family's override constant.
fn constants(family: Family) -> Vec<(&'static str, f64)> {
    match family {
        Family::Tiles => vec![("T", 8.0), ("T", 16.0)],
        Family::Rows => (0..=6).map(|i| ("LANES", f64::from(1 << i))).collect(),
        Family::Elements => vec![("", 0.0)],
    }
}

#[test]
fn every_variant_translates_to_spirv_msl_and_hlsl() {
    for (kernel, name, text) in variants() {
        let (module, info) = parse(&name, &text);
        for (constant, value) in constants(kernel.family) {
            let mut values = naga::back::PipelineConstants::default();
            if !constant.is_empty() {
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
            // Workgroup memory stays under WebGPU's default limit, which wgpu does not check.
            let mut layouter = naga::proc::Layouter::default();
            layouter.update(module.to_ctx()).expect("a layout");
            let bytes: u32 = module
                .global_variables
                .iter()
                .filter(|(_, v)| v.space == AddressSpace::WorkGroup)
                .map(|(_, v)| layouter[v.ty].size)
                .sum();
            assert!(
                bytes <= 16 << 10,
                "{name}: {bytes} bytes of workgroup memory"
            );
        }
    }
}

#[test]
fn every_variant_satisfies_tint() {
    if Command::new("tint").arg("--version").output().is_err() {
        println!("tint is not on the PATH: the second compiler's opinion is missing");
        return;
    }
    for (_, name, text) in variants() {
        let mut child = Command::new("tint")
            .args(["--format", "wgsl", "--input-format", "wgsl", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tint starts");
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
