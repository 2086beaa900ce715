//! The part of ONNX's messages that an exported network has, with the field numbers of `onnx.proto`.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(int64, tag = 1)]
    pub ir_version: i64,
    #[prost(string, tag = 2)]
    pub producer_name: String,
    #[prost(string, tag = 3)]
    pub producer_version: String,
    #[prost(string, tag = 6)]
    pub doc_string: String,
    #[prost(message, optional, tag = 7)]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = 8)]
    pub opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = 14)]
    pub metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OperatorSetIdProto {
    /// Empty for ONNX's own operators.
    #[prost(string, tag = 1)]
    pub domain: String,
    #[prost(int64, tag = 2)]
    pub version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StringStringEntryProto {
    #[prost(string, tag = 1)]
    pub key: String,
    #[prost(string, tag = 2)]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphProto {
    #[prost(message, repeated, tag = 1)]
    pub node: Vec<NodeProto>,
    #[prost(string, tag = 2)]
    pub name: String,
    #[prost(message, repeated, tag = 5)]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = 11)]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = 12)]
    pub output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeProto {
    #[prost(string, repeated, tag = 1)]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = 2)]
    pub output: Vec<String>,
    #[prost(string, tag = 3)]
    pub name: String,
    #[prost(string, tag = 4)]
    pub op_type: String,
    #[prost(message, repeated, tag = 5)]
    pub attribute: Vec<AttributeProto>,
}

/// The fields of numbers are optional so that a 0 is written: readers ask whether the field is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AttributeProto {
    #[prost(string, tag = 1)]
    pub name: String,
    #[prost(float, optional, tag = 2)]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = 3)]
    pub i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = 8)]
    pub ints: Vec<i64>,
    #[prost(int32, tag = 20)]
    pub r#type: i32,
}

fn attribute(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type,
        ..AttributeProto::default()
    }
}

pub(super) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f: Some(f),
        ..attribute(name, 1)
    }
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i: Some(i),
        ..attribute(name, 2)
    }
}

pub(super) fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto {
        ints,
        ..attribute(name, 7)
    }
}

/// A tensor's type of elements: f32.
pub(super) const FLOAT: i32 = 1;
/// i64.
pub(super) const INT64: i32 = 7;
/// f64.
pub(super) const DOUBLE: i32 = 11;

/// What a tensor may be made of.
pub(super) trait TensorElement: Copy {
    const TYPE: i32;
    /// Little-endian.
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! element {
    ($($rust:ty: $onnx:ident),*) => {$(
        impl TensorElement for $rust {
            const TYPE: i32 = $onnx;
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
        }
    )*};
}

element!(f32: FLOAT, i64: INT64, f64: DOUBLE);

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = 1)]
    pub dims: Vec<i64>,
    #[prost(int32, tag = 2)]
    pub data_type: i32,
    #[prost(string, tag = 8)]
    pub name: String,
    /// Little-endian.
    #[prost(bytes = "vec", tag = 9)]
    pub raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfoProto {
    #[prost(string, tag = 1)]
    pub name: String,
    #[prost(message, optional, tag = 2)]
    pub r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TypeProto {
    #[prost(message, optional, tag = 1)]
    pub tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = 1)]
    pub elem_type: i32,
    #[prost(message, optional, tag = 2)]
    pub shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorShapeProto {
    #[prost(message, repeated, tag = 1)]
    pub dim: Vec<Dimension>,
}

/// A number or a name.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Dimension {
    #[prost(int64, optional, tag = 1)]
    pub dim_value: Option<i64>,
    #[prost(string, optional, tag = 2)]
    pub dim_param: Option<String>,
}
