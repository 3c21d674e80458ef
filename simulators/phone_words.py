"""What the page of the demo's phones says, in two languages."""

from collections.abc import Mapping

STATES: Mapping[str, Mapping[str, str]] = {  # the provider's word -> language -> what a person reads
    "queued": {"zh-CN": "排队中", "en": "queued"},
    "sent": {"zh-CN": "已发出", "en": "sent"},
    "delivered": {"zh-CN": "已送达", "en": "delivered"},
    "undelivered": {"zh-CN": "未送达", "en": "not delivered"},
    "failed": {"zh-CN": "失败", "en": "failed"},
}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "zh-CN": {
        "title": "【演示】模拟手机",
        "about": "这里是模拟手机收到的短信。没有任何内容离开本机。",
        "page": "本页",
        "pause": "暂停刷新",
        "live": "恢复刷新",
        "phones": "{n} 部手机",
        "nobody": "还没有手机收到短信。",
        "lever": "通道商",
        "set": "切换",
        "works": "现在工作正常",
        "fails": "现在按所选方式工作",
        "preset_usual": "正常",
        "preset_500": "报错（500）",
        "preset_429": "限流（429）",
        "preset_silent": "不应答",
        "preset_slow": "很慢（4 秒）",
        "preset_refused": "拒收",
        "preset_undelivered": "送不到手机",
    },
    "en": {
        "title": "Demo: simulated phones",
        "about": "What the simulated phones received. Nothing has left this machine.",
        "page": "This page",
        "pause": "Pause refreshing",
        "live": "Refresh again",
        "phones": "{n} phones",
        "nobody": "No phone has received anything yet.",
        "lever": "The provider",
        "set": "Switch",
        "works": "works now",
        "fails": "does what was chosen",
        "preset_usual": "works",
        "preset_500": "answers 500",
        "preset_429": "says slow down (429)",
        "preset_silent": "does not answer",
        "preset_slow": "is slow (4 s)",
        "preset_refused": "refuses",
        "preset_undelivered": "cannot reach phones",
    },
}


def words(language: str) -> Mapping[str, str]:
    """The words of a language, Chinese where it is unknown."""
    return _WORDS.get(language, _WORDS["zh-CN"])
