"""Parquet, as Hugging Face hands ImageNet out; needs pyarrow."""
