//! Numbers of either precision, as they come from a device.

/// The elements of an array, in the precision of the device that they come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Numbers {
    /// As f32: rounded to the nearest.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Numbers::F32(x) => x.clone(),
            Numbers::F64(x) => x.iter().map(|&x| x as f32).collect(),
        }
    }

    /// One after the other. All are of one precision.
    pub fn joined(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or(Numbers::F32(Vec::new()));
        for part in parts {
            match (&mut all, part) {
                (Numbers::F32(all), Numbers::F32(part)) => all.extend(part),
                (Numbers::F64(all), Numbers::F64(part)) => all.extend(part),
                _ => unreachable!("a device has one precision"),
            }
        }
        all
    }

    /// Those at these places.
    pub fn picked(&self, places: &[usize]) -> Self {
        match self {
            Numbers::F32(x) => Numbers::F32(places.iter().map(|&i| x[i]).collect()),
            Numbers::F64(x) => Numbers::F64(places.iter().map(|&i| x[i]).collect()),
        }
    }

    /// `len` numbers: these at their places, and zeros.
    pub fn placed(&self, places: &[usize], len: usize) -> Self {
        fn put<T: Copy + Default>(x: &[T], places: &[usize], len: usize) -> Vec<T> {
            let mut all = vec![T::default(); len];
            for (&place, &x) in places.iter().zip(x) {
                all[place] = x;
            }
            all
        }
        match self {
            Numbers::F32(x) => Numbers::F32(put(x, places, len)),
            Numbers::F64(x) => Numbers::F64(put(x, places, len)),
        }
    }
}
