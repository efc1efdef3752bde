"""What networks learn from and look at: Fashion-MNIST, pictures, folders of photos, drawn pictures."""
