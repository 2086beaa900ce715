//! Weights alone, as PyTorch has them.

use std::path::Path;

use half::{bf16, f16};
use safetensors::Dtype;

use super::container::{self, Entry, elements};
use super::disk;
use crate::config::tensor::{Tensor, Tensors};
use crate::error::{Error, Result};

impl Tensors {
    /// Writes a safetensors file, in f32. Of weights, PyTorch loads it into an `nn.Sequential` of the same layers:
    /// `net.load_state_dict(safetensors.torch.load_file(path))`. What stood there before is replaced when the new file is whole.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be written; what was there is unchanged then. [`Error::Shape`] if a tensor's elements do not
    /// fill its shape.
    ///
    /// ```
    /// # use wgrad::{Activation::*, Device, Loss, Mlp, Sgd, Tensors, Trainer};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("weights.safetensors");
    /// let network = Mlp::new(2).dense(3, Tanh).dense(1, Identity);
    /// let mut trainer = Trainer::new(&Device::cpu(), &network, Loss::Mse, Sgd::default(), 7)?;
    /// trainer.weights()?.save(&path)?;
    /// trainer.set_weights(&Tensors::load(&path)?)?;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        for tensor in self {
            let mut sides = tensor.shape.iter();
            let count = sides.try_fold(1usize, |n, &side| n.checked_mul(side));
            if count != Some(tensor.data.len()) {
                let what = format!("tensor {}", tensor.name);
                let got = format!("{:?} with {} elements", tensor.shape, tensor.data.len());
                let expected = "as many elements as the shape has";
                let advice = "a weight is (outputs, inputs), a bias (outputs)";
                return Err(Error::shape(what, got, expected, advice));
            }
        }
        disk::write(path.as_ref(), |to| {
            let entries = self.iter().map(entry).collect();
            container::write_plain(to, entries)
        })
    }

    /// Reads a safetensors file: this crate's or anyone's, such as `safetensors.torch.save_file(net.state_dict(), path)` writes.
    /// PyTorch's `num_batches_tracked` of batch normalisation is left out. Everything becomes f32: F16 and BF16 exactly, F64 rounded to the nearest f32. The tensors come in the order of the file.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, is damaged, or has a tensor of whole numbers or of a number format that is not
    /// named here; [`Error::Value`] if a finite F64 is beyond the range of f32.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = disk::read_safetensors(path)?;
        Self::read(&bytes, &path.display().to_string())
    }

    /// [`load`](Self::load) from the bytes of a file.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, "the bytes given")
    }

    fn read(bytes: &[u8], file: &str) -> Result<Self> {
        let damaged = |problem: String| Error::file(file, problem, container::DAMAGED);
        let (start, metadata) = container::parse(bytes).map_err(damaged)?;
        let raw = container::tensors(bytes, start, &metadata).map_err(damaged)?;
        let mut tensors = Vec::new();
        for raw in raw {
            let (name, dtype, shape, bytes) = (raw.name, raw.dtype, raw.shape, raw.data);
            // PyTorch's count of batch normalisation's batches, on which nothing depends here.
            if dtype == Dtype::I64 && name.ends_with(".num_batches_tracked") {
                continue;
            }
            let data = match dtype {
                Dtype::F32 => elements(bytes, f32::from_le_bytes),
                Dtype::F16 => elements(bytes, |b| f16::from_le_bytes(b).to_f32()),
                Dtype::BF16 => elements(bytes, |b| bf16::from_le_bytes(b).to_f32()),
                Dtype::F64 => {
                    let wide = elements(bytes, f64::from_le_bytes);
                    let far = |x: &f64| x.is_finite() && !(*x as f32).is_finite();
                    if let Some(i) = wide.iter().position(far) {
                        let cols = shape.last().copied().unwrap_or(1).max(1);
                        let what = format!("tensor {name} of {file}, rounded to f32");
                        let allowed = "within ±3.4e38, the range of f32";
                        return Err(Error::value(what, wide[i], (i, cols), allowed));
                    }
                    wide.into_iter().map(|x| x as f32).collect()
                }
                other => {
                    let problem = format!("tensor {name:?} is of type {other}");
                    let advice = "save it as F32, F64, F16 or BF16, or leave it out";
                    return Err(Error::file(file, problem, advice));
                }
            };
            tensors.push(Tensor { name, shape, data });
        }
        Ok(Self::new(tensors))
    }
}

pub(super) fn entry(tensor: &Tensor) -> Entry<'_> {
    Entry::f32(tensor.name.clone(), &tensor.shape, &tensor.data)
}
