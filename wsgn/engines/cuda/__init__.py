"""A GPU by its driver alone, without torch: pycuda or cuda-bindings behind one small interface."""
