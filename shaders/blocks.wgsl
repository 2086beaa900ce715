// What every form of the matmul C (m, n) = A (m, k) . B (k, n) shares: blocks of 4 x 4 elements, whichever way they lie in
// memory. The kernel supplies extents(), four_a, four_b, A_ALONG_K and B_ALONG_K (whether neighbours along k, else along m
// or n, are neighbours in memory), and finish(m, n, four) and finish_sum(m, four), which take the results.
// Loads go without branches, & in place of && among them: outside a matrix they read the nearest element inside and select 0. An if
// around each load hinders compilers: SwiftShader took minutes for a form with many of them, llvmpipe a third longer.

// Where the elements c, ..., c + 3 of a row of `count` lie that begins at `row`; those outside at the row's last.
fn four_places(row: u32, c: u32, count: u32) -> vec4<u32> {
    return vec4<u32>(row) + min(vec4<u32>(c, c + 1u, c + 2u, c + 3u), vec4<u32>(count - 1u));
}

// 0 for those of the elements c, ..., c + 3 that are outside a row of `count`, and for all if the row is not inside.
fn four_inside(four: vec4<f32>, inside: bool, c: u32, count: u32) -> vec4<f32> {
    let columns = vec4<u32>(c, c + 1u, c + 2u, c + 3u) < vec4<u32>(count);
    return select(vec4<f32>(), four, columns & vec4<bool>(inside));
}

// The part of k that this workgroup sums over: all of it, or one of `parts` equal slices where the grid has that depth.
fn k_range(part: u32, parts: u32) -> vec2<u32> {
    let k = extents().z;
    let slice = ((k + parts - 1u) / parts + 15u) / 16u * 16u;
    return min(vec2<u32>(part * slice, part * slice + slice), vec2<u32>(k));
}

// Columns k, ..., k + 3 of A, each with rows m, ..., m + 3.
fn block_a(m: u32, k: u32) -> mat4x4<f32> {
    var block = mat4x4<f32>();
    if (A_ALONG_K) {
        block = transpose(mat4x4<f32>(four_a(m, k), four_a(m + 1u, k), four_a(m + 2u, k), four_a(m + 3u, k)));
    } else {
        block = mat4x4<f32>(four_a(m, k), four_a(m, k + 1u), four_a(m, k + 2u), four_a(m, k + 3u));
    }
    return block;
}

// Rows k, ..., k + 3 of B, each with columns n, ..., n + 3.
fn block_b(k: u32, n: u32) -> mat4x4<f32> {
    var block = mat4x4<f32>();
    if (B_ALONG_K) {
        block = transpose(mat4x4<f32>(four_b(k, n), four_b(k, n + 1u), four_b(k, n + 2u), four_b(k, n + 3u)));
    } else {
        block = mat4x4<f32>(four_b(k, n), four_b(k + 1u, n), four_b(k + 2u, n), four_b(k + 3u, n));
    }
    return block;
}

// Row i of c += (row i of a) * b, for four rows.
fn outer(c: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(c[0] + a.x * b, c[1] + a.y * b, c[2] + a.z * b, c[3] + a.w * b);
}

// Hands four rows from m on of four columns from n on to the kernel.
fn finish_block(m: u32, n: u32, c: mat4x4<f32>) {
    finish(m, n, c[0]);
    finish(m + 1u, n, c[1]);
    finish(m + 2u, n, c[2]);
    finish(m + 3u, n, c[3]);
}
