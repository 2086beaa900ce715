// a[e] = activate(z[e]), or z[e] where that is not finite.  z, a (count).

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read_write> a: array<f32>;

@compute @workgroup_size(GROUP)
fn activation(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let e = element_index(local, group, groups);
    if (e < params.count) {
        a[e] = select(z[e], activate(z[e]), is_finite(z[e]));
    }
}
