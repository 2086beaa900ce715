// What the forms of subgroups share: products of blocks that invocations hold for each other.

override TX: u32 = 8u;
override TY: u32 = 1u;

// Four rows of eight columns.
struct Rows {
    left: mat4x4<f32>,
    right: mat4x4<f32>,
}

// Four k's: columns of A, rows of B.
fn four_steps(c: Rows, a: mat4x4<f32>, left: mat4x4<f32>, right: mat4x4<f32>) -> Rows {
    return Rows(
        outer(outer(outer(outer(c.left, a[0], left[0]), a[1], left[1]), a[2], left[2]), a[3], left[3]),
        outer(outer(outer(outer(c.right, a[0], right[0]), a[1], right[1]), a[2], right[2]), a[3], right[3]));
}

// The block that an invocation holds, for all. The invocation must be a literal: hence one function for each.

fn from_0(a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(a[0], 0u), subgroupBroadcast(a[1], 0u), subgroupBroadcast(a[2], 0u), subgroupBroadcast(a[3], 0u));
}

fn from_1(a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(a[0], 1u), subgroupBroadcast(a[1], 1u), subgroupBroadcast(a[2], 1u), subgroupBroadcast(a[3], 1u));
}

fn from_2(a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(a[0], 2u), subgroupBroadcast(a[1], 2u), subgroupBroadcast(a[2], 2u), subgroupBroadcast(a[3], 2u));
}

fn from_3(a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(a[0], 3u), subgroupBroadcast(a[1], 3u), subgroupBroadcast(a[2], 3u), subgroupBroadcast(a[3], 3u));
}

fn from_4(a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(a[0], 4u), subgroupBroadcast(a[1], 4u), subgroupBroadcast(a[2], 4u), subgroupBroadcast(a[3], 4u));
}

fn from_5(a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(a[0], 5u), subgroupBroadcast(a[1], 5u), subgroupBroadcast(a[2], 5u), subgroupBroadcast(a[3], 5u));
}

fn from_6(a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(a[0], 6u), subgroupBroadcast(a[1], 6u), subgroupBroadcast(a[2], 6u), subgroupBroadcast(a[3], 6u));
}

fn from_7(a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(a[0], 7u), subgroupBroadcast(a[1], 7u), subgroupBroadcast(a[2], 7u), subgroupBroadcast(a[3], 7u));
}
