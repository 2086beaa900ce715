// A workgroup of TX x TY invocations computes a tile of 8 TY x 8 TX elements, each invocation 8 x 8 of them in registers: two
// loads of A and two of B for 64 multiplications. k goes in slices of 8 that are staged in workgroup memory.
// An invocation's rows are 4 from the tile's upper half and 4 from its lower, and so its columns: neighbours read neighbours.

override TX: u32 = 8u;
override TY: u32 = 8u;

// One vec4 more a row, so that neighbouring rows begin in other memory banks.
var<workgroup> slice_a: array<vec4<f32>, 8u * (2u * TY + 1u)>;
var<workgroup> slice_b: array<vec4<f32>, 8u * (2u * TX + 1u)>;

struct Quarters {
    upper_left: mat4x4<f32>,
    upper_right: mat4x4<f32>,
    lower_left: mat4x4<f32>,
    lower_right: mat4x4<f32>,
}

fn multiply(group: vec3<u32>, groups: vec3<u32>, local: vec3<u32>) {
    let index = local.y * TX + local.x;
    let m = group.y * TY * 8u;
    let n = group.x * TX * 8u;
    let range = k_range(group.z, groups.z);
    var c = Quarters(mat4x4<f32>(), mat4x4<f32>(), mat4x4<f32>(), mat4x4<f32>());
    var upper_sum = vec4<f32>();
    var lower_sum = vec4<f32>();
    for (var k = range.x; k < range.y; k += 8u) {
        // The first invocations stage A and the last ones B: neighbours along k first, or along m or n.
        if (index < 4u * TY) {
            let i = select(index % (2u * TY), index / 2u, A_ALONG_K);
            let j = select(index / (2u * TY), index % 2u, A_ALONG_K) * 4u;
            let block = block_a(m + 4u * i, k + j);
            slice_a[j * (2u * TY + 1u) + i] = block[0];
            slice_a[(j + 1u) * (2u * TY + 1u) + i] = block[1];
            slice_a[(j + 2u) * (2u * TY + 1u) + i] = block[2];
            slice_a[(j + 3u) * (2u * TY + 1u) + i] = block[3];
        }
        let rest = TX * TY - 1u - index;
        if (rest < 4u * TX) {
            let last = 4u * TX - 1u - rest;
            let i = select(last % (2u * TX), last / 2u, B_ALONG_K);
            let j = select(last / (2u * TX), last % 2u, B_ALONG_K) * 4u;
            let block = block_b(k + j, n + 4u * i);
            slice_b[j * (2u * TX + 1u) + i] = block[0];
            slice_b[(j + 1u) * (2u * TX + 1u) + i] = block[1];
            slice_b[(j + 2u) * (2u * TX + 1u) + i] = block[2];
            slice_b[(j + 3u) * (2u * TX + 1u) + i] = block[3];
        }
        workgroupBarrier();
        // Unrolled in the text: naga passes no unroll hint on, and lavapipe stops after 65,535 iterations.
        c = tile_step(c, local, 0u);
        c = tile_step(c, local, 1u);
        c = tile_step(c, local, 2u);
        c = tile_step(c, local, 3u);
        c = tile_step(c, local, 4u);
        c = tile_step(c, local, 5u);
        c = tile_step(c, local, 6u);
        c = tile_step(c, local, 7u);
        // One invocation a row of A sums it.
        if (SUM_A && group.x == 0u && local.x == 0u) {
            upper_sum += four_columns(local.y) + four_columns(4u * (2u * TY + 1u) + local.y);
            lower_sum += four_columns(TY + local.y) + four_columns(4u * (2u * TY + 1u) + TY + local.y);
        }
        workgroupBarrier();
    }
    let upper = m + 4u * local.y;
    let left = n + 4u * local.x;
    finish_block(upper, left, c.upper_left);
    finish_block(upper, left + 4u * TX, c.upper_right);
    finish_block(upper + 4u * TY, left, c.lower_left);
    finish_block(upper + 4u * TY, left + 4u * TX, c.lower_right);
    if (group.x == 0u && local.x == 0u) {
        finish_sum(upper, upper_sum);
        finish_sum(upper + 4u * TY, lower_sum);
    }
}

fn tile_step(c: Quarters, local: vec3<u32>, k: u32) -> Quarters {
    let upper = slice_a[k * (2u * TY + 1u) + local.y];
    let lower = slice_a[k * (2u * TY + 1u) + TY + local.y];
    let left = slice_b[k * (2u * TX + 1u) + local.x];
    let right = slice_b[k * (2u * TX + 1u) + TX + local.x];
    return Quarters(
        outer(c.upper_left, upper, left),
        outer(c.upper_right, upper, right),
        outer(c.lower_left, lower, left),
        outer(c.lower_right, lower, right));
}

// Four neighbours along k, summed.
fn four_columns(at: u32) -> vec4<f32> {
    return (slice_a[at] + slice_a[at + (2u * TY + 1u)])
        + (slice_a[at + 2u * (2u * TY + 1u)] + slice_a[at + 3u * (2u * TY + 1u)]);
}
