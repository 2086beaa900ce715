//! Weights, gradients and running statistics, as they leave and enter.

use super::Trainer;
use crate::config::tensor;
use crate::config::tensor::{Tensor, Tensors};
use crate::error::{Error, Result, shortest};
use crate::plan::{Payload, View};

impl Trainer {
    /// The parameters: weights and biases, γ and β of normalisations, in the order of [`Mlp::tensors`](crate::Mlp::tensors).
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn weights(&mut self) -> Result<Tensors> {
        pollster::block_on(self.weights_async())
    }

    /// [`weights`](Self::weights) for asynchronous code.
    ///
    /// # Errors
    /// As [`weights`](Self::weights).
    pub async fn weights_async(&mut self) -> Result<Tensors> {
        let views = self.plan.parameter_views(false);
        let data = self.executor.read(&views.concat()).await?;
        Ok(self.named(&views, data))
    }

    /// [`weights`](Self::weights) in the device's own precision: f64 on [`Device::reference`](crate::Device::reference).
    ///
    /// # Errors
    /// As [`weights`](Self::weights).
    pub fn weights_f64(&mut self) -> Result<Tensors<f64>> {
        let views = self.plan.parameter_views(false);
        let data = pollster::block_on(self.executor.read_f64(&views.concat()))?;
        Ok(self.named(&views, data))
    }

    /// The gradients of the last [`step`](Self::step), or of everything accumulated: of the loss as the criterion reduces it.
    ///
    /// # Errors
    /// [`Error::NothingAccumulated`] before the first batch; [`Error::DeviceLost`].
    pub fn gradients(&mut self) -> Result<Tensors> {
        pollster::block_on(self.gradients_async())
    }

    /// [`gradients`](Self::gradients) for asynchronous code.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients).
    pub async fn gradients_async(&mut self) -> Result<Tensors> {
        let gradients = self.gradients_f64_async().await?;
        let narrow = |t: &Tensor<f64>| Tensor {
            name: t.name.clone(),
            shape: t.shape.clone(),
            data: t.data.iter().map(|&x| x as f32).collect(),
        };
        Ok(Tensors::new(gradients.iter().map(narrow).collect()))
    }

    /// [`gradients`](Self::gradients) in the device's own precision: f64 on [`Device::reference`](crate::Device::reference).
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients).
    pub fn gradients_f64(&mut self) -> Result<Tensors<f64>> {
        pollster::block_on(self.gradients_f64_async())
    }

    pub(super) async fn gradients_f64_async(&mut self) -> Result<Tensors<f64>> {
        if self.gradient_rows.rows == 0 {
            return Err(Error::nothing_accumulated("gradients"));
        }
        let views = self.plan.parameter_views(true);
        let mut data = self.executor.read_f64(&views.concat()).await?;
        // The device keeps sums over rows.
        let scale = self.plan.criterion.batch_scale(self.gradient_rows.weight);
        data.iter_mut().flatten().for_each(|g| *g *= scale);
        Ok(self.named(&views, data))
    }

    /// The running statistics of [batch normalisation](crate::Mlp::batch_norm), in the order of
    /// [`Mlp::buffers`](crate::Mlp::buffers); none without.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn buffers(&mut self) -> Result<Tensors> {
        pollster::block_on(self.buffers_async())
    }

    /// [`buffers`](Self::buffers) for asynchronous code.
    ///
    /// # Errors
    /// As [`buffers`](Self::buffers).
    pub async fn buffers_async(&mut self) -> Result<Tensors> {
        let views = self.plan.running_views();
        let data = self.executor.read(&views).await?;
        Ok(self.named_buffers(data))
    }

    /// [`buffers`](Self::buffers) in the device's own precision: f64 on [`Device::reference`](crate::Device::reference).
    ///
    /// # Errors
    /// As [`buffers`](Self::buffers).
    pub fn buffers_f64(&mut self) -> Result<Tensors<f64>> {
        let views = self.plan.running_views();
        let data = pollster::block_on(self.executor.read_f64(&views))?;
        Ok(self.named_buffers(data))
    }

    pub(super) fn named_buffers<T>(&self, data: Vec<Vec<T>>) -> Tensors<T> {
        let buffers = self.plan.network.buffers().into_iter().zip(data);
        let tensors = buffers.map(|((name, shape), data)| Tensor { name, shape, data });
        Tensors::new(tensors.collect())
    }

    /// Everything that predictions depend on: [`weights`](Self::weights), then [`buffers`](Self::buffers).
    /// [`set_weights`](Self::set_weights) takes it. PyTorch's `state_dict`, less `num_batches_tracked`, which is
    /// [`batches`](Self::batches).
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn state_dict(&mut self) -> Result<Tensors> {
        let (weights, buffers) = (self.weights()?, self.buffers()?);
        let all = weights.iter().chain(&buffers).cloned();
        Ok(Tensors::new(all.collect()))
    }

    /// Joins the panels of each tensor under its name.
    pub(super) fn named<T>(&self, views: &[Vec<View>], data: Vec<Vec<T>>) -> Tensors<T> {
        let mut data = data.into_iter();
        let tensors = self.plan.network.tensors().into_iter().zip(views);
        Tensors::new(
            tensors
                .map(|((name, shape), panels)| Tensor {
                    name,
                    shape,
                    data: data.by_ref().take(panels.len()).flatten().collect(),
                })
                .collect(),
        )
    }

    /// Replaces parameters and running statistics by those of the same names; tensors not given stay. The optimiser's state stays
    /// too.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`], [`Error::Shape`] or [`Error::Value`] if one does not fit; then nothing is changed.
    pub fn set_weights(&mut self, weights: &Tensors) -> Result<()> {
        let mut views = self.plan.parameter_views(false);
        views.extend(self.plan.running_views().into_iter().map(|view| vec![view]));
        let places = self.check_weights(weights)?;
        for (tensor, i) in weights.iter().zip(places) {
            let mut at = 0;
            for view in &views[i] {
                let end = at + view.len as usize;
                self.executor
                    .write(*view, Payload::Floats(&tensor.data[at..end]))?;
                at = end;
            }
        }
        Ok(())
    }

    /// Whether weights fit; the place of each in [`Mlp::tensors`](crate::Mlp::tensors) and, behind them,
    /// [`Mlp::buffers`](crate::Mlp::buffers).
    pub(crate) fn check_weights(&self, weights: &Tensors) -> Result<Vec<usize>> {
        let mut known = self.plan.network.tensors();
        known.extend(self.plan.network.buffers());
        let places = weights.iter().map(|tensor| {
            let Some(i) = known.iter().position(|(name, _)| *name == tensor.name) else {
                let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
                return Err(Error::UnknownTensor {
                    name: tensor.name.clone(),
                    known: names.join(", "),
                });
            };
            tensor::check(tensor, &known[i].1)?;
            let negative = tensor.data.iter().position(|&x| x < 0.0);
            if let (true, Some(col)) = (tensor.name.ends_with(".running_var"), negative) {
                let (what, x) = (
                    format!("tensor {}", tensor.name),
                    shortest(tensor.data[col]),
                );
                let place = (col, tensor.data.len());
                return Err(Error::value(what, x, place, "at least 0, as variances are"));
            }
            Ok(i)
        });
        places.collect()
    }
}
