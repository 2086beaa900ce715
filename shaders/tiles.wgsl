// The matmul that the three dense kernels share: C (m, n) = A (m, k) · B (k, n).
// A workgroup of T x T invocations computes a tile of 4T x 4T elements of C, each invocation 4 x 4 of them in
// registers, walking k in slices of T that are staged in workgroup memory, one vec4 of A and one of B an invocation.
// The kernel supplies its layout: element_a(m, k), element_b(k, n), which give 0 outside the matrices, and
// A_ALONG_K, B_ALONG_K, which say whether neighbours along k (else along m, n) are neighbours in memory, so that
// neighbouring invocations load neighbouring words.

override T: u32 = 8u;

// Slices in rows of T + 1, so that neither way of filling them hits one memory bank T times.
var<workgroup> slice_a: array<vec4<f32>, T * (T + 1u)>;
var<workgroup> slice_b: array<vec4<f32>, T * (T + 1u)>;

struct Product {
    c: mat4x4<f32>,   // column i holds row i of the invocation's 4 x 4 elements
    a_sum: vec4<f32>, // its 4 rows of A summed over k
}

// Row and column of the invocation's first element of C.
fn tile_origin(group: vec3<u32>, local: vec3<u32>) -> vec2<u32> {
    return vec2<u32>((group.y * T + local.y) * 4u, (group.x * T + local.x) * 4u);
}

fn tile_product(group: vec3<u32>, local: vec3<u32>, k_count: u32) -> Product {
    var p = Product(mat4x4<f32>(), vec4<f32>());
    let a_k = select(local.y, local.x, A_ALONG_K);
    let a_m = select(local.x, local.y, A_ALONG_K);
    let b_k = select(local.y, local.x, B_ALONG_K);
    let b_n = select(local.x, local.y, B_ALONG_K);
    let m = (group.y * T + a_m) * 4u;
    let n = (group.x * T + b_n) * 4u;
    for (var k = 0u; k < k_count; k += T) {
        slice_a[a_k * (T + 1u) + a_m] = vec4<f32>(
            element_a(m, k + a_k), element_a(m + 1u, k + a_k), element_a(m + 2u, k + a_k), element_a(m + 3u, k + a_k));
        slice_b[b_k * (T + 1u) + b_n] = vec4<f32>(
            element_b(k + b_k, n), element_b(k + b_k, n + 1u), element_b(k + b_k, n + 2u), element_b(k + b_k, n + 3u));
        workgroupBarrier();
        // Unrolled in the text: naga passes no unroll hint on, and lavapipe stops after 65,535 iterations.
        p = tile_step(p, local, 0u);
        p = tile_step(p, local, 1u);
        p = tile_step(p, local, 2u);
        p = tile_step(p, local, 3u);
        p = tile_step(p, local, 4u);
        p = tile_step(p, local, 5u);
        p = tile_step(p, local, 6u);
        p = tile_step(p, local, 7u);
        if (T == 16u) {
            p = tile_step(p, local, 8u);
            p = tile_step(p, local, 9u);
            p = tile_step(p, local, 10u);
            p = tile_step(p, local, 11u);
            p = tile_step(p, local, 12u);
            p = tile_step(p, local, 13u);
            p = tile_step(p, local, 14u);
            p = tile_step(p, local, 15u);
        }
        workgroupBarrier();
    }
    return p;
}

fn tile_step(p: Product, local: vec3<u32>, k: u32) -> Product {
    let a = slice_a[k * (T + 1u) + local.y];
    let b = slice_b[k * (T + 1u) + local.x];
    return Product(
        mat4x4<f32>(p.c[0] + a.x * b, p.c[1] + a.y * b, p.c[2] + a.z * b, p.c[3] + a.w * b),
        p.a_sum + a);
}
