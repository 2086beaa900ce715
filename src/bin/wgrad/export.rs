//! `wgrad export`.

use std::path::PathBuf;

use clap::Args;

use crate::failure::{Failure, usage};
use crate::outputs::{self, OutputKind, named};
use crate::{model, output};

const EXAMPLES: &str = "\
Examples:
  wgrad export model.safetensors --weights weights.safetensors
  wgrad export runs/digits-1/checkpoints/checkpoint-00000007.safetensors --model model.safetensors
  wgrad export model.safetensors --onnx model.onnx

The weights are a safetensors file under the names that PyTorch's nn.Sequential gives them:
  model.load_state_dict(safetensors.torch.load_file('weights.safetensors'))
The ONNX file holds the preparation of the data too. Its input x are the numbers of the columns
as they stand in the data; a column of categories is as many inputs as it has categories, 1 at the
row's and 0 elsewhere. A missing value is NaN, of a category in all its inputs, and becomes what
training filled in; where it filled in nothing, the outputs are NaN and the class is -1. It gives
values, or logits, probabilities and class, the index of the most probable. Where f32 cannot hold
the inputs (years, times, coordinates), x is float64, and so are values where it cannot hold the
targets: the metadata says so in input_type and values_type. The names are lists in the metadata:
input_names, class_names, target_names.";

/// A model in other forms
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[group(skip)]
pub struct Arguments {
    /// A model, a checkpoint, or the folder of a run
    source: PathBuf,
    /// Weights alone, as safetensors under PyTorch's names
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// A model's file, of a checkpoint's best weights
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// An ONNX file, for onnxruntime and other runtimes
    #[arg(long, value_name = "FILE")]
    onnx: Option<PathBuf>,
}

pub fn run(a: &Arguments) -> Result<(), Failure> {
    let written = [
        (named("--weights", a.weights.as_ref()), OutputKind::Tensors),
        (named("--model", a.model.as_ref()), OutputKind::Tensors),
        (named("--onnx", a.onnx.as_ref()), OutputKind::Onnx),
    ];
    let some = |(out, kind): (Option<_>, _)| Some((out?, kind));
    let written: Vec<_> = written.into_iter().filter_map(some).collect();
    if written.is_empty() {
        return usage("nothing to write: give --weights FILE, --model FILE or --onnx FILE");
    }
    let read = named("the model", Some(&a.source));
    outputs::check(read.as_slice(), &written)?;
    let (source, _) = model::open(&a.source)?;
    let model = source.model()?;
    if let Some(path) = &a.weights {
        model.weights().save(path)?;
        output::line(format_args!("weights    {}", path.display()))?;
    }
    if let Some(path) = &a.model {
        model.save(path)?;
        output::line(format_args!("model      {}", path.display()))?;
    }
    if let Some(path) = &a.onnx {
        model.save_onnx(path)?;
        output::line(format_args!("ONNX       {}", path.display()))?;
    }
    Ok(())
}
