"""Pages of a storefront: named rows of products, none of them twice."""
