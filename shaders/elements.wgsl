// What the elementwise kernels share: one invocation an element, on a grid that may need its second dimension.

const GROUP: u32 = 256u;

fn element_index(local: u32, group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return (group.y * groups.x + group.x) * GROUP + local;
}
