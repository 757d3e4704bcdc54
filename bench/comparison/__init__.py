"""What bench/compare is made of: servers and load, the report, and a module per comparison."""
