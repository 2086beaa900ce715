// One workgroup is one subgroup of TX = 4 or 8 invocations, which computes 16 x 8 TX elements: each invocation 8 columns of all
// 16 rows. For 8 k's at a time each invocation loads one or two 4 x 4 blocks of A and broadcasts them to the others, so that
// one load feeds 16 multiplications. For software adapters, where loads cost far more than arithmetic.

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
    // Finished in a loop, because many copies of the kernel's last lines and its activation take long to compile; picked by a
    // switch, because an array of all takes llvmpipe many times as long to compile.
    for (var i = 0u; i < 4u; i++) {
        var rows = c0;
        switch i {
            case 1u: { rows = c1; }
            case 2u: { rows = c2; }
            case 3u: { rows = c3; }
            default: {}
        }
        finish_block(m + 4u * i, n, rows.left);
        finish_block(m + 4u * i, n + 4u, rows.right);
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
