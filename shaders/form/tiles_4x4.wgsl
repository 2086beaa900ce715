// A workgroup of TX x TY invocations computes a tile of 4 TY x 4 TX elements, each invocation 4 x 4 of them in registers,
// walking k in slices of 16 that are staged in workgroup memory.

override TX: u32 = 8u;
override TY: u32 = 8u;

// One vec4 more a row, so that neighbouring rows begin in other memory banks.
var<workgroup> slice_a: array<vec4<f32>, 16u * (TY + 1u)>;
var<workgroup> slice_b: array<vec4<f32>, 16u * (TX + 1u)>;

fn multiply(group: vec3<u32>, groups: vec3<u32>, local: vec3<u32>) {
    let index = local.y * TX + local.x;
    let m = group.y * TY * 4u;
    let n = group.x * TX * 4u;
    let range = k_range(group.z, groups.z);
    var c = mat4x4<f32>();
    var a_sum = vec4<f32>();
    for (var k = range.x; k < range.y; k += 16u) {
        // The first invocations stage A and the last ones B: neighbours along k first, or along m or n.
        if (index < 4u * TY) {
            let i = select(index % TY, index / 4u, A_ALONG_K);
            let j = select(index / TY, index % 4u, A_ALONG_K) * 4u;
            let block = block_a(m + 4u * i, k + j);
            slice_a[j * (TY + 1u) + i] = block[0];
            slice_a[(j + 1u) * (TY + 1u) + i] = block[1];
            slice_a[(j + 2u) * (TY + 1u) + i] = block[2];
            slice_a[(j + 3u) * (TY + 1u) + i] = block[3];
        }
        let rest = TX * TY - 1u - index;
        if (rest < 4u * TX) {
            let last = 4u * TX - 1u - rest;
            let i = select(last % TX, last / 4u, B_ALONG_K);
            let j = select(last / TX, last % 4u, B_ALONG_K) * 4u;
            let block = block_b(k + j, n + 4u * i);
            slice_b[j * (TX + 1u) + i] = block[0];
            slice_b[(j + 1u) * (TX + 1u) + i] = block[1];
            slice_b[(j + 2u) * (TX + 1u) + i] = block[2];
            slice_b[(j + 3u) * (TX + 1u) + i] = block[3];
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
        c = tile_step(c, local, 8u);
        c = tile_step(c, local, 9u);
        c = tile_step(c, local, 10u);
        c = tile_step(c, local, 11u);
        c = tile_step(c, local, 12u);
        c = tile_step(c, local, 13u);
        c = tile_step(c, local, 14u);
        c = tile_step(c, local, 15u);
        // One invocation a row of A sums it.
        if (SUM_A && group.x == 0u && local.x == 0u) {
            a_sum += (four_columns(local.y) + four_columns(4u * (TY + 1u) + local.y))
                + (four_columns(8u * (TY + 1u) + local.y) + four_columns(12u * (TY + 1u) + local.y));
        }
        workgroupBarrier();
    }
    finish_block(m + 4u * local.y, n + 4u * local.x, c);
    if (group.x == 0u && local.x == 0u) {
        finish_sum(m + 4u * local.y, a_sum);
    }
}

fn tile_step(c: mat4x4<f32>, local: vec3<u32>, k: u32) -> mat4x4<f32> {
    return outer(c, slice_a[k * (TY + 1u) + local.y], slice_b[k * (TX + 1u) + local.x]);
}

// Four neighbours along k, summed.
fn four_columns(at: u32) -> vec4<f32> {
    return (slice_a[at] + slice_a[at + (TY + 1u)]) + (slice_a[at + 2u * (TY + 1u)] + slice_a[at + 3u * (TY + 1u)]);
}
