from magazine.statistics.views import PageView

__all__ = ["PageView"]
