//! The dimension check: a derivative has the shape of what it is taken by.

use crate::config::spec::Mlp;
use crate::config::tensor::Tensors;
use crate::error::{Error, Result};

/// Checks that a set of derivatives, of whatever origin, has for each parameter of the network a tensor of its name and shape:
/// `∂L/∂W_l` is (outputs, inputs) as `W_l` is, `∂L/∂b_l` (outputs). The first of the two sanity checks of M. Sadeghi's
/// derivation; the second is [`finite_differences`](super::finite_differences()).
///
/// # Errors
/// [`Error::Shape`] with both shapes at the first tensor that does not fit or is missing, [`Error::UnknownTensor`] at one that the
/// network does not have.
///
/// ```
/// use wgrad::{Activation::*, Mlp, Tensor, Tensors, verify};
/// let network = Mlp::new(3).dense(2, Tanh);
/// let turned = Tensor { name: "0.weight".into(), shape: vec![3, 2], data: vec![0.0f32; 6] };
/// let error = verify::dimensions(&network, &Tensors::new(vec![turned])).unwrap_err();
/// assert!(error.to_string().contains("[3, 2]") && error.to_string().contains("[2, 3]"));
/// ```
pub fn dimensions<T>(network: &Mlp, derivatives: &Tensors<T>) -> Result<()> {
    let known = network.tensors();
    for (name, shape) in &known {
        let found = derivatives.get(name);
        let fits = |t: &&crate::config::tensor::Tensor<T>| {
            t.shape == *shape && t.data.len() == shape.iter().product::<usize>()
        };
        if found.filter(fits).is_none() {
            return Err(Error::shape(
                format!("the derivative by {name}"),
                found.map_or("none: it is missing".into(), |t| {
                    format!("{:?} with {} elements", t.shape, t.data.len())
                }),
                format!("{shape:?}"),
                "a derivative has the shape of the parameter",
            ));
        }
    }
    for tensor in derivatives {
        if known.iter().all(|(name, _)| *name != tensor.name) {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::UnknownTensor {
                name: tensor.name.clone(),
                known: names.join(", "),
            });
        }
    }
    Ok(())
}
