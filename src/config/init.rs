//! Initial weights: drawn on the host from a seeded ChaCha generator, so that every device starts from the same bits.

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How a dense layer with fan-in `I` and fan-out `O` begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Init {
    /// PyTorch's `nn.Linear`: weights and biases uniform in ±1/√I.
    #[default]
    #[serde(rename = "pytorch")]
    PyTorch,
    /// Glorot and Bengio (2010): weights uniform in ±√(6/(I+O)), biases 0. Made for tanh and sigmoid.
    GlorotUniform,
    /// Glorot and Bengio (2010): weights normal with σ = √(2/(I+O)), biases 0.
    GlorotNormal,
    /// He et al. (2015): weights uniform in ±√(6/I), biases 0. Made for ReLU.
    HeUniform,
    /// He et al. (2015): weights normal with σ = √(2/I), biases 0.
    HeNormal,
    /// All zeros.
    Zeros,
}

/// A number in [0, 1) with 53 random bits. Written out, because a library's own conversion may change between versions.
pub(crate) fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A standard normal number, by Box and Muller; libm's functions give the same bits on every platform.
pub(crate) fn normal(rng: &mut impl Rng) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit(rng)));
    radius * libm::cos(std::f64::consts::TAU * unit(rng))
}

/// A layer's generator: one stream a layer, so that a layer's weights do not depend on the sizes of the others.
pub(crate) fn layer_rng(seed: u64, layer: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(layer as u64);
    rng
}

impl Init {
    /// Fills some rows of a weight (row-major, `inputs` wide), continuing the generator.
    pub(crate) fn fill_weight(
        self,
        weight: &mut [f32],
        inputs: usize,
        outputs: usize,
        rng: &mut impl Rng,
    ) {
        let (i, o) = (inputs as f64, outputs as f64);
        let uniform = |rng: &mut _, bound: f64| (bound * (2.0 * unit(rng) - 1.0)) as f32;
        for w in weight {
            *w = match self {
                Init::PyTorch => uniform(rng, 1.0 / i.sqrt()),
                Init::GlorotUniform => uniform(rng, (6.0 / (i + o)).sqrt()),
                Init::HeUniform => uniform(rng, (6.0 / i).sqrt()),
                Init::GlorotNormal => ((2.0 / (i + o)).sqrt() * normal(rng)) as f32,
                Init::HeNormal => ((2.0 / i).sqrt() * normal(rng)) as f32,
                Init::Zeros => 0.0,
            };
        }
    }

    /// Fills a layer's bias, after its weight.
    pub(crate) fn fill_bias(self, bias: &mut [f32], inputs: usize, rng: &mut impl Rng) {
        let bound = 1.0 / (inputs as f64).sqrt();
        for b in bias {
            *b = match self {
                Init::PyTorch => (bound * (2.0 * unit(rng) - 1.0)) as f32,
                _ => 0.0,
            };
        }
    }
}
