//! Pieces of WGSL that a kernel's text is completed with, and the constants that they read from the kernel's parameters.

use std::fmt;

/// A scalar type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `u32` on both sides.
    U32,
    /// `f64` on the host, `f32` in WGSL.
    F32,
}

/// A parameter's type: u32, or a number that is f64 on the host and f32 on the GPU.
pub(crate) trait Word: Copy {
    const FIELD: Field;
    fn word(self) -> u32;
    fn as_device(self) -> Self;
}

impl Word for u32 {
    const FIELD: Field = Field::U32;
    fn word(self) -> u32 {
        self
    }
    fn as_device(self) -> Self {
        self
    }
}

impl Word for f64 {
    const FIELD: Field = Field::F32;
    fn word(self) -> u32 {
        (self as f32).to_bits()
    }
    fn as_device(self) -> Self {
        f64::from(self as f32)
    }
}

/// A piece of WGSL. Two of one name are the same.
#[derive(Debug, Clone, Copy)]
pub struct Fragment {
    /// Stem of its file.
    pub name: &'static str,
    /// Its text.
    pub wgsl: &'static str,
    /// What it reads from the kernel's `params`, beside what every kernel that takes it has.
    pub constants: &'static [(&'static str, Field)],
}

impl PartialEq for Fragment {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Fragment {}

impl std::hash::Hash for Fragment {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// A formula that exists as a fragment and as Rust, with its constants.
pub(crate) trait Formula: Copy + fmt::Debug {
    /// Every fragment of this kind.
    const FRAGMENTS: &'static [Fragment];
    fn fragment(&self) -> &'static Fragment;
    /// The constants, in the order of the fragment's list.
    fn words(&self, out: &mut Vec<u32>);
    /// The same with constants as the GPU holds them, rounded to f32.
    fn as_device(&self) -> Self;
}

/// Declares the formulas of a kind: an enum with their constants, and a fragment in `shaders/` for each.
macro_rules! formulas {
    (
        $(#[$doc:meta])* $name:ident in $folder:literal;
        $($(#[$of:meta])* $variant:ident { $($constant:ident: $type:ty),* }, $file:literal;)+
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub(crate) enum $name {
            $($(#[$of])* $variant { $($constant: $type),* }),+
        }

        impl crate::config::fragment::Formula for $name {
            const FRAGMENTS: &'static [crate::config::fragment::Fragment] = &[$(
                crate::config::fragment::formulas!(@fragment $folder $file $($constant: $type)*)
            ),+];

            fn fragment(&self) -> &'static crate::config::fragment::Fragment {
                match self {
                    $(Self::$variant { .. } => const {
                        &crate::config::fragment::formulas!(@fragment $folder $file $($constant: $type)*)
                    }),+
                }
            }

            fn words(&self, out: &mut Vec<u32>) {
                match *self {
                    $(Self::$variant { $($constant),* } => {
                        $(out.push(crate::config::fragment::Word::word($constant));)*
                    })+
                }
            }

            fn as_device(&self) -> Self {
                match *self {
                    $(Self::$variant { $($constant),* } => Self::$variant {
                        $($constant: crate::config::fragment::Word::as_device($constant)),*
                    }),+
                }
            }
        }
    };
    (@fragment $folder:literal $file:literal $($constant:ident: $type:ty)*) => {
        crate::config::fragment::Fragment {
            name: $file,
            wgsl: include_str!(concat!("../../shaders/", $folder, "/", $file, ".wgsl")),
            constants: &[$((stringify!($constant), <$type as crate::config::fragment::Word>::FIELD)),*],
        }
    };
}
pub(crate) use formulas;
