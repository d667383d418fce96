// The first process of the sandboxes of the test node. Nothing here ships with Angarium.
module angarium.dev/pause

go 1.26.0
