//! The texts that the kernels are compiled from, and what a mutation does to them.

use std::collections::BTreeSet;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use rayon::prelude::*;
use wgrad::Activation;
use wgrad::kernels::{ALL, Form};

use crate::sites::{Mutant, Source};
use crate::tokens;

/// A text that is compiled, without comments.
struct Text {
    kernel: &'static str,
    code: String,
    /// The functions that its entry point comes to.
    reached: BTreeSet<String>,
    /// Indices of the files that it is made of.
    files: Vec<usize>,
}

/// Every text that an adapter can run.
pub struct Texts(Vec<Text>);

impl Texts {
    /// The texts of a device that can run these forms of the matmul.
    pub fn new(sources: &[Source], forms: &[&Form]) -> Self {
        let mut codes = BTreeSet::new();
        for kernel in ALL {
            let variants: Vec<_> = kernel
                .variants()
                .into_iter()
                .filter(|variant| {
                    variant
                        .product
                        .is_none_or(|(form, _)| forms.contains(&form))
                })
                .collect();
            let activations = if kernel.activation {
                Activation::table()
            } else {
                vec![Activation::Identity]
            };
            for (i, phi) in activations.iter().enumerate() {
                for (j, variant) in variants.iter().enumerate() {
                    // No form looks into the activation: all of them with the first.
                    if i == 0 || j == i % variants.len() {
                        let code = tokens::without_comments(&kernel.wgsl(variant, phi));
                        codes.insert((kernel.name, code));
                    }
                }
            }
        }
        let text = |(kernel, code): (&'static str, String)| Text {
            kernel,
            reached: tokens::reached(&code, kernel),
            files: (0..sources.len())
                .filter(|i| code.contains(&sources[*i].code))
                .collect(),
            code,
        };
        Self(codes.into_iter().map(text).collect())
    }

    /// The kernels that come to a function of a file.
    pub fn kernels(&self, file: usize, function: &str) -> BTreeSet<&'static str> {
        let texts = self.0.iter().filter(|text| text.files.contains(&file));
        texts
            .filter(|text| text.reached.contains(function))
            .map(|text| text.kernel)
            .collect()
    }

    /// Whether every text with the mutation is WGSL.
    pub fn compile(&self, mutant: &Mutant<'_>) -> bool {
        let code = mutant.code();
        self.0
            .par_iter()
            .filter(|text| text.files.contains(&mutant.site.file))
            .all(|text| is_wgsl(&text.code.replacen(&mutant.source.code, &code, 1)))
    }
}

fn is_wgsl(text: &str) -> bool {
    let capabilities = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    naga::front::wgsl::parse_str(text).is_ok_and(|module| validator.validate(&module).is_ok())
}
