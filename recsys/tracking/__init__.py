"""Logs runs to MLflow and TensorBoard, where the settings name one."""
