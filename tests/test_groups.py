"""What one process runs in order: the groups that tests/conftest.py gives must reach the scheduler."""


def test_a_group_is_known_where_tests_are_divided(request):
    (group,) = request.node.get_closest_marker("xdist_group").args
    assert group == "processes"
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith(f"@{group}")
