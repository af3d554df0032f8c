"""Zips, as Kaggle hands ImageNet out."""
