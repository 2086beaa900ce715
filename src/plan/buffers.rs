//! Buffers by number and the views of them that ops take.

/// A buffer that an executor has to provide.
#[derive(Debug, Clone)]
pub(crate) struct BufferSpec {
    pub name: String,
    /// Elements, or elements a row.
    pub(super) elements: u64,
    pub per_row: bool,
}

impl BufferSpec {
    /// A buffer whose size does not depend on the batch.
    pub fn fixed(name: &str, elements: u64) -> Self {
        Self {
            name: name.to_owned(),
            elements,
            per_row: false,
        }
    }

    /// Elements when there is room for `rows` rows.
    pub fn len(&self, rows: u64) -> u64 {
        if self.per_row {
            self.elements.saturating_mul(rows)
        } else {
            self.elements
        }
    }
}

/// Elements [offset, offset + len) of a buffer. Views of per-row buffers cover the room for all rows; a kernel's
/// parameters say how many rows count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub buffer: usize,
    pub offset: u64,
    pub len: u64,
}

impl View {
    /// All of a buffer of so many elements.
    pub fn whole(buffer: usize, len: u64) -> Self {
        Self {
            buffer,
            offset: 0,
            len,
        }
    }

    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset as usize..(self.offset + self.len) as usize
    }

    /// The first `len` elements.
    pub fn head(self, len: u64) -> Self {
        Self {
            len: len.min(self.len),
            ..self
        }
    }
}

/// Numbers or words on their way into a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Payload<'a> {
    Floats(&'a [f32]),
    Words(&'a [u32]),
}

impl Payload<'_> {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Floats(x) => bytemuck::cast_slice(x),
            Payload::Words(x) => bytemuck::cast_slice(x),
        }
    }
}
