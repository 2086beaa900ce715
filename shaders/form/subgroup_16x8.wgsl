// One workgroup is one subgroup of TX = 4 or 8 invocations, which computes 16 x 8 TX elements: each invocation 8 columns of all
// 16 rows. For 8 k's at a time each invocation loads one or two 4 x 4 blocks of A and broadcasts them to the others, so that
// one load feeds 16 multiplications. For software adapters, where loads cost far more than arithmetic.

override TX: u32 = 8u;
override TY: u32 = 1u;

// Four rows of eight columns.
struct Rows {
    left: mat4x4<f32>,
    right: mat4x4<f32>,
}

fn multiply(group: vec3<u32>, groups: vec3<u32>, local: vec3<u32>) {
    let m = group.y * 16u;
    let n = (group.x * TX + local.x) * 8u;
    let range = k_range(group.z, groups.z);
    let zero = Rows(mat4x4<f32>(), mat4x4<f32>());
    var c0 = zero;
    var c1 = zero;
    var c2 = zero;
    var c3 = zero;
    // Of this invocation's blocks of A.
    var a_sum = vec4<f32>();
    // Invocations 0 to 3 hold rows 4 j and on; of 8 invocations, 4 to 7 hold the same rows for the later four k's.
    let row = m + 4u * (local.x % 4u);
    let later = 4u * (local.x / 4u);
    for (var k = range.x; k < range.y; k += 8u) {
        let a = block_a(row, k + later);
        var left = block_b(k, n);
        var right = block_b(k, n + 4u);
        c0 = four_steps(c0, from_0(a), left, right);
        c1 = four_steps(c1, from_1(a), left, right);
        c2 = four_steps(c2, from_2(a), left, right);
        c3 = four_steps(c3, from_3(a), left, right);
        left = block_b(k + 4u, n);
        right = block_b(k + 4u, n + 4u);
        if (TX == 8u) {
            c0 = four_steps(c0, from_4(a), left, right);
            c1 = four_steps(c1, from_5(a), left, right);
            c2 = four_steps(c2, from_6(a), left, right);
            c3 = four_steps(c3, from_7(a), left, right);
        } else {
            let b = block_a(row, k + 4u);
            c0 = four_steps(c0, from_0(b), left, right);
            c1 = four_steps(c1, from_1(b), left, right);
            c2 = four_steps(c2, from_2(b), left, right);
            c3 = four_steps(c3, from_3(b), left, right);
            a_sum += (b[0] + b[1]) + (b[2] + b[3]);
        }
        a_sum += (a[0] + a[1]) + (a[2] + a[3]);
    }
    // Finished in a loop, because 32 copies of the kernel's last lines and its activation take long to compile.
    let left_half = array<mat4x4<f32>, 4>(c0.left, c1.left, c2.left, c3.left);
    let right_half = array<mat4x4<f32>, 4>(c0.right, c1.right, c2.right, c3.right);
    var halves = array<array<mat4x4<f32>, 4>, 2>(left_half, right_half);
    for (var i = 0u; i < 32u; i++) {
        finish(m + i % 16u, n + 4u * (i / 16u), halves[i / 16u][(i / 4u) % 4u][i % 4u]);
    }
    if (SUM_A && group.x == 0u) {
        var sum0 = subgroupBroadcast(a_sum, 0u);
        var sum1 = subgroupBroadcast(a_sum, 1u);
        var sum2 = subgroupBroadcast(a_sum, 2u);
        var sum3 = subgroupBroadcast(a_sum, 3u);
        if (TX == 8u) {
            sum0 += subgroupBroadcast(a_sum, 4u);
            sum1 += subgroupBroadcast(a_sum, 5u);
            sum2 += subgroupBroadcast(a_sum, 6u);
            sum3 += subgroupBroadcast(a_sum, 7u);
        }
        if (local.x == 0u) {
            finish_sum(m, sum0);
            finish_sum(m + 4u, sum1);
            finish_sum(m + 8u, sum2);
            finish_sum(m + 12u, sum3);
        }
    }
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
