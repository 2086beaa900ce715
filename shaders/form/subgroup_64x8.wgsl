// One workgroup is one subgroup of TX = 4 or 8 invocations, which computes 64 x 8 TX elements: each invocation 8 columns of all
// 64 rows. For 4 k's at a time each invocation loads 64 / TX rows of A, in 4 x 4 blocks that it broadcasts to the others, so that
// one load of A feeds 8 TX multiplications and one of B 64. For products of many rows on software adapters: subgroup_16x8
// wastes less where there are few.

fn multiply(group: vec3<u32>, groups: vec3<u32>, local: vec3<u32>) {
    let m = group.y * 64u;
    let n = (group.x * TX + local.x) * 8u;
    let range = k_range(group.z, groups.z);
    let zero = Rows(mat4x4<f32>(), mat4x4<f32>());
    var c0 = zero;
    var c1 = zero;
    var c2 = zero;
    var c3 = zero;
    var c4 = zero;
    var c5 = zero;
    var c6 = zero;
    var c7 = zero;
    var c8 = zero;
    var c9 = zero;
    var c10 = zero;
    var c11 = zero;
    var c12 = zero;
    var c13 = zero;
    var c14 = zero;
    var c15 = zero;
    // Of this invocation's blocks of A.
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    let row = m + 4u * local.x;
    for (var k = range.x; k < range.y; k += 4u) {
        let a0 = block_a(row, k);
        let left = block_b(k, n);
        let right = block_b(k, n + 4u);
        c0 = four_steps(c0, from_0(a0), left, right);
        c1 = four_steps(c1, from_1(a0), left, right);
        c2 = four_steps(c2, from_2(a0), left, right);
        c3 = four_steps(c3, from_3(a0), left, right);
        sum0 += (a0[0] + a0[1]) + (a0[2] + a0[3]);
        if (TX == 8u) {
            c4 = four_steps(c4, from_4(a0), left, right);
            c5 = four_steps(c5, from_5(a0), left, right);
            c6 = four_steps(c6, from_6(a0), left, right);
            c7 = four_steps(c7, from_7(a0), left, right);
            let a1 = block_a(row + 32u, k);
            sum1 += (a1[0] + a1[1]) + (a1[2] + a1[3]);
            c8 = four_steps(c8, from_0(a1), left, right);
            c9 = four_steps(c9, from_1(a1), left, right);
            c10 = four_steps(c10, from_2(a1), left, right);
            c11 = four_steps(c11, from_3(a1), left, right);
            c12 = four_steps(c12, from_4(a1), left, right);
            c13 = four_steps(c13, from_5(a1), left, right);
            c14 = four_steps(c14, from_6(a1), left, right);
            c15 = four_steps(c15, from_7(a1), left, right);
        } else {
            let a1 = block_a(row + 16u, k);
            sum1 += (a1[0] + a1[1]) + (a1[2] + a1[3]);
            c4 = four_steps(c4, from_0(a1), left, right);
            c5 = four_steps(c5, from_1(a1), left, right);
            c6 = four_steps(c6, from_2(a1), left, right);
            c7 = four_steps(c7, from_3(a1), left, right);
            let a2 = block_a(row + 32u, k);
            sum2 += (a2[0] + a2[1]) + (a2[2] + a2[3]);
            c8 = four_steps(c8, from_0(a2), left, right);
            c9 = four_steps(c9, from_1(a2), left, right);
            c10 = four_steps(c10, from_2(a2), left, right);
            c11 = four_steps(c11, from_3(a2), left, right);
            let a3 = block_a(row + 48u, k);
            sum3 += (a3[0] + a3[1]) + (a3[2] + a3[3]);
            c12 = four_steps(c12, from_0(a3), left, right);
            c13 = four_steps(c13, from_1(a3), left, right);
            c14 = four_steps(c14, from_2(a3), left, right);
            c15 = four_steps(c15, from_3(a3), left, right);
        }
    }
    // Finished in a loop, because many copies of the kernel's last lines and its activation take long to compile; picked by a
    // switch, because an array of all takes llvmpipe twenty times as long to compile.
    for (var i = 0u; i < 16u; i++) {
        var rows = c0;
        switch i {
            case 1u: { rows = c1; }
            case 2u: { rows = c2; }
            case 3u: { rows = c3; }
            case 4u: { rows = c4; }
            case 5u: { rows = c5; }
            case 6u: { rows = c6; }
            case 7u: { rows = c7; }
            case 8u: { rows = c8; }
            case 9u: { rows = c9; }
            case 10u: { rows = c10; }
            case 11u: { rows = c11; }
            case 12u: { rows = c12; }
            case 13u: { rows = c13; }
            case 14u: { rows = c14; }
            case 15u: { rows = c15; }
            default: {}
        }
        finish_block(m + 4u * i, n, rows.left);
        finish_block(m + 4u * i, n + 4u, rows.right);
    }
    if (SUM_A && group.x == 0u) {
        finish_sum(row, sum0);
        finish_sum(row + 4u * TX, sum1);
        if (TX == 4u) {
            finish_sum(row + 32u, sum2);
            finish_sum(row + 48u, sum3);
        }
    }
}
