//! Flannel, which lives on the nodes' own podCIDRs.

use crate::story::Story;

#[test]
fn flannel_is_installed_where_nodes_have_blocks() {
    for helm in [3, 4] {
        let Some(story) = Story::kubeadm(3, helm) else {
            return;
        };
        let ran = story.install(&["flannel"]);
        ran.expect(0, &["DONE"]);
        story.status().expect("healthy", 0, &[]);
        story.only_the_record_is_left("kube-flannel/flannel", "v0.28.4");
        let writes = story.writes();
        story.install(&["flannel"]).expect(0, &["NOTHING TO DO"]);
        assert_eq!(story.writes()[writes.len()..], [] as [String; 0]);
    }
}
