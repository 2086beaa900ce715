//! `wgrad export`.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::folder;
use crate::model;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  wgrad export model.safetensors --weights weights.safetensors
  wgrad export runs/digits-1/checkpoints/checkpoint-00000007.safetensors --model model.safetensors

The weights are a safetensors file under the names that PyTorch's nn.Sequential gives them:
  model.load_state_dict(safetensors.torch.load_file('weights.safetensors'))";

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
}

pub fn run(a: &Arguments) -> Result<(), Failure> {
    let outs = [&a.weights, &a.model];
    if outs.iter().all(|out| out.is_none()) {
        return Err(Failure::Usage(
            "nothing to write: give --weights FILE or --model FILE".into(),
        ));
    }
    for out in outs.into_iter().flatten() {
        folder::check_out(out)?;
    }
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
    Ok(())
}
