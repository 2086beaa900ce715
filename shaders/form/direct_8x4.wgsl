// No workgroup memory and no barrier: each invocation computes 8 x 4 elements in registers from what it loads itself. For
// adapters whose workgroup memory is no faster than their caches.

override TX: u32 = 8u;
override TY: u32 = 8u;

fn multiply(group: vec3<u32>, groups: vec3<u32>, local: vec3<u32>) {
    let m = (group.y * TY + local.y) * 8u;
    let n = (group.x * TX + local.x) * 4u;
    let range = k_range(group.z, groups.z);
    var upper = mat4x4<f32>();
    var lower = mat4x4<f32>();
    var upper_sum = vec4<f32>();
    var lower_sum = vec4<f32>();
    for (var k = range.x; k < range.y; k += 8u) {
        let a = block_a(m, k);
        let a_lower = block_a(m + 4u, k);
        let b = block_b(k, n);
        upper = outer(outer(outer(outer(upper, a[0], b[0]), a[1], b[1]), a[2], b[2]), a[3], b[3]);
        lower = outer(outer(outer(outer(lower, a_lower[0], b[0]), a_lower[1], b[1]), a_lower[2], b[2]), a_lower[3], b[3]);
        let d = block_a(m, k + 4u);
        let d_lower = block_a(m + 4u, k + 4u);
        let e = block_b(k + 4u, n);
        upper = outer(outer(outer(outer(upper, d[0], e[0]), d[1], e[1]), d[2], e[2]), d[3], e[3]);
        lower = outer(outer(outer(outer(lower, d_lower[0], e[0]), d_lower[1], e[1]), d_lower[2], e[2]), d_lower[3], e[3]);
        if (SUM_A && n == 0u) {
            upper_sum += ((a[0] + a[1]) + (a[2] + a[3])) + ((d[0] + d[1]) + (d[2] + d[3]));
            lower_sum += ((a_lower[0] + a_lower[1]) + (a_lower[2] + a_lower[3]))
                + ((d_lower[0] + d_lower[1]) + (d_lower[2] + d_lower[3]));
        }
    }
    finish_block(m, n, upper);
    finish_block(m + 4u, n, lower);
    if (n == 0u) {
        finish_sum(m, upper_sum);
        finish_sum(m + 4u, lower_sum);
    }
}
