"""What tests share: tiny models and data, references, runs in processes of their own."""
