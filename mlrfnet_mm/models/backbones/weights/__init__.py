"""Where a backbone's weights come from: timm, a package, published chest X-ray networks."""
