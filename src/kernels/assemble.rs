//! The text of a kernel that is compiled: nobody writes its parameters and bindings a second time, in WGSL.

use super::form::FORMS;
use super::{Access, Family, Kernel, MATH, Variant};
use crate::config::activation::Activation;
use crate::config::fragment::Field;

impl Kernel {
    /// The whole text that is compiled: the declarations, the kernel's file, its family's fragment, the form with its loads, the
    /// mathematics, the activation.
    pub fn wgsl(&self, variant: &Variant, activation: &Activation) -> String {
        let mut text = self.wgsl_around(variant);
        if self.activation {
            text += "\n";
            text += &activation.wgsl();
        }
        text
    }

    /// [`wgsl`](Self::wgsl) without the activation.
    pub(crate) fn wgsl_around(&self, variant: &Variant) -> String {
        let mut text = self.declarations(variant);
        text += &format!("{}\n{}\n", self.source, self.family.wgsl());
        if let Some((form, loads)) = variant.product {
            text += form.source;
            for (matrix, load) in self.loads.iter().zip(loads) {
                let mut fragments = matrix.fragments.iter();
                if let Some((_, fragment)) = fragments.find(|(l, _)| *l == load) {
                    text += "\n";
                    text += fragment;
                }
            }
            text += "\n";
        }
        let formulas = variant
            .formulas
            .iter()
            .flatten()
            .map(|formula| formula.wgsl);
        for fragment in self.shared.iter().copied().chain(formulas) {
            text += fragment;
            text += "\n";
        }
        text += MATH;
        text
    }

    /// `struct Params` and the bindings, from the lists that the host goes by.
    fn declarations(&self, variant: &Variant) -> String {
        let constants = variant
            .formulas
            .iter()
            .flatten()
            .flat_map(|formula| formula.constants);
        let fields = self
            .params
            .iter()
            .chain(self.step)
            .chain(constants)
            .map(|(name, field)| {
                let of = match field {
                    Field::U32 => "u32",
                    Field::F32 => "f32",
                };
                format!("    {name}: {of},\n")
            });
        let bindings = self.operands.iter().enumerate().map(|(i, operand)| {
            let access = match operand.access {
                Access::Read => "read",
                Access::Write => "read_write",
            };
            let load = self.loads.iter().find(|l| l.operand == operand.name);
            let element = match (load, operand.words) {
                (Some(load), _) => load.element,
                (None, true) => "u32",
                (None, false) => "f32",
            };
            let (binding, name) = (i + 1, operand.name);
            format!(
                "@group(0) @binding({binding}) var<storage, {access}> {name}: array<{element}>;\n"
            )
        });
        let (fields, bindings) = (fields.collect::<String>(), bindings.collect::<String>());
        format!(
            "struct Params {{\n{fields}}}\n\n@group(0) @binding(0) var<uniform> params: Params;\n{bindings}\n"
        )
    }

    /// Every variant of the text.
    pub fn variants(&self) -> Vec<Variant> {
        let [a, b] = self.loads else {
            let mut variants = vec![Variant::default()];
            for (i, fragments) in self.formulas.iter().enumerate() {
                let with = |fragment| {
                    move |mut variant: Variant| {
                        variant.formulas[i] = Some(fragment);
                        variant
                    }
                };
                let all = fragments.iter();
                variants = all
                    .flat_map(|f| variants.iter().copied().map(with(f)))
                    .collect();
            }
            return variants;
        };
        let mut variants = Vec::new();
        for form in FORMS {
            for (load_a, _) in a.fragments {
                for (load_b, _) in b.fragments {
                    variants.push(Variant {
                        product: Some((form, [*load_a, *load_b])),
                        ..Variant::default()
                    });
                }
            }
        }
        variants
    }
}

impl Family {
    fn wgsl(self) -> &'static str {
        match self {
            Family::Product => include_str!("../../shaders/blocks.wgsl"),
            Family::Rows => include_str!("../../shaders/rows.wgsl"),
            Family::Columns => include_str!("../../shaders/columns.wgsl"),
            Family::Elements => include_str!("../../shaders/elements.wgsl"),
            Family::Network => "",
        }
    }
}
